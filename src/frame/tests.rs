use super::*;
use crate::estimator::manifest::ChannelOrder;
use crate::image::{Color, ColorModel, Component, Depth, Plane};

/// Width and height.
type Size = (usize, usize);

/// A network that takes pixels as they are.
fn plain(short_side: usize, size_divisor: usize) -> Input {
    Input {
        name: "image".into(),
        channel_order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [1.0; 3],
        short_side,
        max_long_side: 1333,
        size_divisor,
    }
}

fn sampled(image: &Image, width: usize, height: usize) -> Vec<f32> {
    let mut tensor = vec![f32::NAN; 3 * width * height];
    let size = InputSize { width, height, padded_width: width, padded_height: height };
    Sampler::new(&plain(32, 32)).sample(image, size, &Threads::one(), &mut tensor);
    tensor
}

/// Whole numbers as bytes.
fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().map(|&value| value as u8).collect()
}

/// A restless picture, packed R, G, B.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let value = |x: usize, y: usize, c: usize| ((x * 37 + y * 59 + c * 83 + x * y % 11 * 17) % 256) as u8;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    places.flat_map(|(x, y)| [0, 1, 2].map(|c| value(x, y, c))).collect()
}

#[test]
fn pixels_are_those_of_pillow() {
    // picture() through Image.fromarray(...).resize(size, Image.BILINEAR) of Pillow 12.
    let table: [(Size, Size, &[u8]); 5] = [
        (
            (13, 9),
            (5, 4),
            &[
                88, 143, 135, 121, 144, 128, 139, 114, 113, 109, 123, 169, 115, 125, 136, 115, 100, 119, 128, 111, 131,
                127, 118, 120, 147, 138, 140, 119, 161, 145, 130, 129, 137, 117, 114, 155, 128, 142, 137, 157, 114,
                133, 159, 112, 136, 129, 144, 112, 101, 137, 110, 145, 120, 130, 154, 147, 113, 112, 141, 135,
            ],
        ),
        (
            (4, 3),
            (7, 5),
            &[
                0, 83, 166, 13, 96, 179, 34, 117, 200, 56, 139, 222, 77, 160, 224, 98, 181, 99, 111, 194, 21, 24, 107,
                190, 39, 122, 169, 64, 147, 135, 90, 173, 153, 115, 190, 167, 140, 157, 104, 155, 136, 65, 59, 142,
                225, 78, 161, 153, 109, 192, 37, 140, 223, 50, 171, 236, 81, 202, 120, 112, 221, 48, 131, 94, 177, 107,
                117, 145, 93, 154, 94, 71, 114, 120, 101, 74, 150, 137, 111, 128, 174, 133, 114, 197, 118, 201, 28,
                143, 135, 53, 184, 29, 94, 97, 52, 135, 9, 92, 175, 50, 133, 216, 75, 158, 241,
            ],
        ),
        (
            (9, 2),
            (4, 5),
            &[
                31, 114, 197, 106, 182, 103, 172, 80, 100, 61, 92, 175, 38, 121, 188, 110, 177, 105, 164, 86, 106, 74,
                90, 168, 68, 151, 153, 129, 155, 113, 130, 113, 130, 126, 80, 138, 97, 180, 118, 147, 133, 121, 95,
                139, 153, 177, 70, 107, 104, 187, 109, 151, 128, 123, 87, 145, 159, 190, 68, 100,
            ],
        ),
        ((1, 1), (2, 3), &[0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166]),
        ((40, 3), (2, 3), &[110, 126, 136, 120, 136, 141, 123, 127, 139, 115, 128, 132, 128, 143, 129, 121, 128, 129]),
    ];
    for ((width, height), (to_width, to_height), expected) in table {
        let data = picture(width, height);
        let image = Image::rgb(width, height, &data).unwrap();
        assert_eq!(bytes(&sampled(&image, to_width, to_height)), expected, "{width}x{height}");
    }
}

/// Sums of all samples times their weights, rounded after each direction, without any haste.
fn by_definition(data: &[u8], (w, h): Size, (to_w, to_h): Size) -> Vec<u8> {
    let weights = |from: usize, to: usize, i: usize| -> Vec<f64> {
        let scale = from as f64 / to as f64;
        let reach = scale.max(1.0);
        let centre = (i as f64 + 0.5) * scale;
        let heights = (0..from).map(|s| (1.0 - ((s as f64 + 0.5 - centre) / reach).abs()).max(0.0));
        let total: f64 = heights.clone().sum();
        heights.map(|h| h / total).collect()
    };
    let mut narrow = vec![0.0; to_w * h * 3];
    for (i, out) in narrow.iter_mut().enumerate() {
        let (c, x, y) = (i % 3, i / 3 % to_w, i / 3 / to_w);
        let samples = weights(w, to_w, x).into_iter().enumerate();
        *out = samples.map(|(s, weight)| weight * f64::from(data[(y * w + s) * 3 + c])).sum::<f64>().round();
    }
    let small = |i: usize| {
        let (c, x, y) = (i % 3, i / 3 % to_w, i / 3 / to_w);
        let samples = weights(h, to_h, y).into_iter().enumerate();
        samples.map(|(s, weight)| weight * narrow[(s * to_w + x) * 3 + c]).sum::<f64>().round() as u8
    };
    (0..to_w * to_h * 3).map(small).collect()
}

#[test]
fn any_size_turns_into_any_other() {
    let sizes = [(1, 1), (1, 50), (50, 1), (2, 3), (17, 5), (64, 36), (101, 57), (300, 7)];
    for (from, to) in sizes.iter().flat_map(|from| sizes.iter().map(move |to| (*from, *to))) {
        let data = picture(from.0, from.1);
        let image = Image::rgb(from.0, from.1, &data).unwrap();
        let (got, expected) = (bytes(&sampled(&image, to.0, to.1)), by_definition(&data, from, to));
        // Halves may go either way in fixed point.
        let off = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(1), "{from:?} to {to:?}: off by {off:?}");
        let unequal = got.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert!(unequal <= got.len() / 10 || to.0 * to.1 < 64, "{from:?} to {to:?}: {unequal} of {}", got.len());
    }
}

#[test]
fn every_packed_order_gives_the_same() {
    let (width, height) = (31, 17);
    let data = picture(width, height);
    let expected = sampled(&Image::rgb(width, height, &data).unwrap(), 12, 9);
    let orders: [(usize, [usize; 3]); 9] = [
        (3, [0, 1, 2]),
        (3, [2, 1, 0]),
        (4, [0, 1, 2]),
        (4, [2, 1, 0]),
        (4, [1, 2, 3]),
        (4, [3, 2, 1]),
        (5, [4, 0, 2]),
        (7, [0, 3, 6]),
        (8, [5, 1, 3]),
    ];
    for (step, offsets) in orders {
        for padding in [0, 5] {
            let stride = width * step + padding;
            let mut packed = vec![0xEE; stride * height];
            for (i, pixel) in data.chunks(3).enumerate() {
                for (offset, value) in offsets.iter().zip(pixel) {
                    packed[i / width * stride + i % width * step + offset] = *value;
                }
            }
            // Buffers may end with the last sample.
            packed.truncate((height - 1) * stride + (width - 1) * step + offsets.iter().max().unwrap() + 1);
            let layout = Layout::packed_rgb(width, height, step, offsets);
            let image = Image::new(layout, vec![Plane { data: &packed, stride }]).unwrap();
            assert_eq!(sampled(&image, 12, 9), expected, "{step} {offsets:?} {padding}");
        }
    }
}

fn component(plane: usize, offset: usize, step: usize, shift_x: u32, shift_y: u32) -> Component {
    Component { plane, offset, step, shift_x, shift_y }
}

/// Luma and chroma as planes, chroma of half size.
fn planar(width: usize, height: usize, color: Color) -> Layout {
    let components = vec![component(0, 0, 1, 0, 0), component(1, 0, 1, 1, 1), component(2, 0, 1, 1, 1)];
    Layout::new(width, height, color, components)
}

#[test]
fn every_yuv_layout_gives_the_same() {
    let (width, height) = (23, 15);
    let (half_width, half_height) = (12, 8);
    let noise = |count: usize, seed: usize| -> Vec<u8> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 219 + 16) as u8).collect()
    };
    let luma = noise(width * height, 1);
    let (u, v) = (noise(half_width * half_height, 2), noise(half_width * half_height, 3));
    let plane = |data, stride| Plane { data, stride };
    let three = vec![plane(&luma[..], width), plane(&u[..], half_width), plane(&v[..], half_width)];
    let expected = sampled(&Image::new(planar(width, height, Color::BT709), three).unwrap(), 9, 7);

    // Chroma side by side, with a gap after each row.
    let stride = 2 * half_width + 3;
    let mut chroma = vec![0xEE; stride * half_height];
    for i in 0..u.len() {
        let at = i / half_width * stride + i % half_width * 2;
        (chroma[at], chroma[at + 1]) = (u[i], v[i]);
    }
    chroma.truncate(stride * (half_height - 1) + 2 * half_width);
    let mut layout = planar(width, height, Color::BT709);
    layout.components[1..].copy_from_slice(&[component(1, 0, 2, 1, 1), component(1, 1, 2, 1, 1)]);
    let two = vec![plane(&luma[..], width), plane(&chroma[..], stride)];
    assert_eq!(sampled(&Image::new(layout, two).unwrap(), 9, 7), expected);
}

#[test]
fn packed_components_mean_what_their_planes_do() {
    let (width, height) = (19, 11);
    let data = picture(width, height);
    let size = InputSize { width: 8, height: 5, padded_width: 8, padded_height: 5 };
    let full = |step: usize| (0..3).map(move |i| component(if step == 1 { i } else { 0 }, i % step, step, 0, 0));
    let planes: Vec<Vec<u8>> = (0..3).map(|i| data.iter().skip(i).step_by(3).copied().collect()).collect();
    for color in [Color::RGB, Color::BT709] {
        for channel_order in [ChannelOrder::Rgb, ChannelOrder::Bgr] {
            let sampled = |step: usize, planes: Vec<Plane>| {
                let layout = Layout::new(width, height, color, full(step).collect::<Vec<_>>());
                let mut tensor = vec![f32::NAN; 8 * 5 * 3];
                let mut sampler = Sampler::new(&Input { channel_order, ..plain(32, 32) });
                sampler.sample(&Image::new(layout, planes).unwrap(), size, &Threads::one(), &mut tensor);
                tensor
            };
            let apart = planes.iter().map(|data| Plane { data, stride: width }).collect();
            let packed = vec![Plane { data: &data, stride: 3 * width }];
            assert_eq!(sampled(3, packed), sampled(1, apart), "{color:?} {channel_order:?}");
        }
    }
}

#[test]
fn packed_yuv_is_read() {
    // Y0 U Y1 V: a row of three pixels, so the fourth luma means nothing.
    let data = [10, 100, 20, 200, 30, 110, 255, 210];
    let components = vec![component(0, 0, 2, 0, 0), component(0, 1, 4, 1, 0), component(0, 3, 4, 1, 0)];
    let color = Color { full_range: true, ..Color::BT601 };
    let layout = Layout::new(3, 1, color, components);
    let image = Image::new(layout, vec![Plane { data: &data, stride: 8 }]).unwrap();
    let tensor = sampled(&image, 3, 1);
    // Chroma samples cover 2 and 1 pixels; the middle one of three lies 0.25 samples after the first's centre.
    let chroma = [(100.0, 200.0), (103.0, 203.0), (108.0, 208.0)];
    for (x, (y, (u, v))) in [10.0, 20.0, 30.0].into_iter().zip(chroma).enumerate() {
        let expected: f32 = (y + 1.402_f32 * (v - 128.0)).clamp(0.0, 255.0);
        assert!((tensor[3 * x] - expected).abs() < 2.0, "{x}: {} for {expected}", tensor[3 * x]);
        let expected: f32 = (y + 1.772_f32 * (u - 128.0)).clamp(0.0, 255.0);
        assert!((tensor[3 * x + 2] - expected).abs() < 2.0, "{x}: {} for {expected}", tensor[3 * x + 2]);
    }
}

#[test]
fn ranges_and_matrices_are_honoured() {
    for color in [Color::BT601, Color::BT709, Color { full_range: true, ..Color::BT601 }] {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 250, 20], [40, 70, 240]] {
            let [y, u, v] = color.from_rgb(rgb);
            let planes = [vec![y; 35], vec![u; 12], vec![v; 12]];
            let strides = [7, 4, 4];
            let planes = planes.iter().zip(strides).map(|(data, stride)| Plane { data, stride }).collect();
            let tensor = sampled(&Image::new(planar(7, 5, color), planes).unwrap(), 3, 2);
            for (i, value) in tensor.iter().enumerate() {
                assert!((value - f32::from(rgb[i % 3])).abs() < 2.5, "{color:?} {rgb:?}: {value}");
            }
        }
    }
}

#[test]
fn gray_is_all_three_colours() {
    let data = [16, 235, 126, 16];
    let limited = Color { model: ColorModel::Gray, full_range: false };
    for (color, expected) in [(Color::GRAY, [16.0, 235.0, 126.0, 16.0]), (limited, [0.0, 255.0, 128.08, 0.0])] {
        let layout = Layout { color, ..Layout::gray(2, 2) };
        let image = Image::new(layout, vec![Plane { data: &data, stride: 2 }]).unwrap();
        for (i, got) in sampled(&image, 2, 2).into_iter().enumerate() {
            let want = expected[i / 3];
            assert!((got - want).abs() < 0.01, "{got} for {want}");
        }
    }
}

#[test]
fn input_is_normalised_padded_and_in_order() {
    let mut input = plain(32, 4);
    (input.mean, input.std) = ([10.0, 20.0, 30.0], [2.0, 4.0, 5.0]);
    let data = [110, 120, 130].repeat(6);
    let image = Image::rgb(3, 2, &data).unwrap();
    let size = InputSize { width: 3, height: 2, padded_width: 4, padded_height: 4 };
    for (order, expected) in [(ChannelOrder::Rgb, [50.0, 25.0, 20.0]), (ChannelOrder::Bgr, [60.0, 25.0, 16.0])] {
        input.channel_order = order;
        let mut sampler = Sampler::new(&input);
        // A second frame finds what the first one left.
        for garbage in [f32::NAN, 7.0] {
            let mut tensor = vec![garbage; 3 * 16];
            sampler.sample(&image, size, &Threads::one(), &mut tensor);
            for (i, pixel) in tensor.chunks(3).enumerate() {
                let inside = i % 4 < 3 && i / 4 < 2;
                for (value, expected) in pixel.iter().zip(expected) {
                    let want = if inside { expected } else { 0.0 };
                    assert!((value - want).abs() < 1e-4, "{order:?} {i}: {value} for {want}");
                }
            }
        }
    }
}

#[test]
fn threads_share_the_rows() {
    let data = picture(300, 200);
    let chroma = vec![90; 150 * 100];
    let plane = |data, stride| Plane { data, stride };
    let yuv = vec![plane(&data[..], 300), plane(&chroma[..], 150), plane(&chroma[..], 150)];
    let yuv = Image::new(planar(300, 200, Color::BT709), yuv).unwrap();
    let size = InputSize { width: 193, height: 131, padded_width: 224, padded_height: 160 };
    let rgb = Image::rgb(300, 200, &data).unwrap();
    for image in [&rgb, &yuv] {
        let mut sampler = Sampler::new(&plain(32, 32));
        let mut sample = |threads| {
            let mut tensor = vec![f32::NAN; 3 * 224 * 160];
            sampler.sample(image, size, &Threads::new(threads).unwrap(), &mut tensor);
            tensor
        };
        let alone = sample(1);
        for threads in [2, 3, 40] {
            assert_eq!(sample(threads), alone, "{threads} threads");
        }
    }
}

#[test]
fn a_sampler_takes_frames_as_they_come() {
    let mut sampler = Sampler::new(&plain(32, 32));
    let mut sample = |image: &Image, width: usize, height: usize| {
        let mut tensor = vec![0.0; 3 * width * height];
        let size = InputSize { width, height, padded_width: width, padded_height: height };
        sampler.sample(image, size, &Threads::one(), &mut tensor);
        tensor
    };
    let (a, b) = (picture(20, 10), picture(9, 33));
    let (colour, tall) = (Image::rgb(20, 10, &a).unwrap(), Image::rgb(9, 33, &b).unwrap());
    let gray = Image::new(Layout::gray(20, 10), vec![Plane { data: &a, stride: 20 }]).unwrap();
    for (image, width, height) in [(&colour, 8, 4), (&gray, 8, 4), (&tall, 8, 4), (&gray, 5, 5), (&colour, 8, 4)] {
        assert_eq!(sample(image, width, height), sampled(image, width, height));
    }
}

#[test]
fn frames_keep_their_shape_in_the_network() {
    let size = |w, h, short| {
        let size = InputSize::new((w, h), 1.0, short, &plain(256, 32));
        [size.width, size.height, size.padded_width, size.padded_height]
    };
    assert_eq!(size(1280, 720, 0), [455, 256, 480, 256]);
    assert_eq!(size(1280, 720, 512), [910, 512, 928, 512]);
    assert_eq!(size(720, 1280, 400), [400, 711, 416, 736]);
    // 800 would make the long side 1422.
    assert_eq!(size(1920, 1080, 800), [1333, 750, 1344, 768]);
    assert_eq!(size(640, 480, 1), [43, 32, 64, 32]);
    assert_eq!(size(640, 480, 100_000), [1333, 1000, 1344, 1024]);
    assert_eq!(size(1, 1, 0), [256, 256, 256, 256]);
    assert_eq!(size(1, 5000, 0), [1, 1333, 32, 1344]);
    assert_eq!(size(5000, 1, 64), [1333, 1, 1344, 32]);
}

#[test]
fn pixels_are_square_in_the_network() {
    let size = |w, h, aspect| {
        let size = InputSize::new((w, h), aspect, 0, &plain(256, 32));
        (size.width, size.height)
    };
    for (square, narrow, wide) in [((1280, 720), (640, 720), (1280, 360)), ((720, 1280), (360, 1280), (720, 640))] {
        let expected = size(square.0, square.1, 1.0);
        assert_eq!(size(narrow.0, narrow.1, 2.0), expected, "{narrow:?} at 2:1");
        assert_eq!(size(wide.0, wide.1, 0.5), expected, "{wide:?} at 1:2");
    }
    // PAL at 16:9.
    assert_eq!(size(720, 576, 64.0 / 45.0), (455, 256));
    assert_eq!(size(100, 100, 1e9), (1333, 1));
    assert_eq!(size(100, 100, 1e-9), (1, 1333));
}

#[test]
fn words_are_sampled_as_bytes() {
    let (width, height) = (23, 15);
    let data: Vec<u8> = (0..width * height).map(|i| (i * 7919 % 219 + 16) as u8).collect();
    let layout = |step, depth| {
        let components: Vec<_> = (0..3).map(|i| component(0, (i % 2) * step, step, 0, 0)).collect();
        Layout { depth, ..Layout::new(width, height, Color::BT709, components) }
    };
    for step in [2, 3, 4] {
        let mut bytes = vec![0xEE; width * height * step + step];
        data.iter().enumerate().for_each(|(i, v)| bytes[i * step] = *v);
        let image = Image::new(layout(step, Depth::BYTE), vec![Plane { data: &bytes, stride: width * step }]).unwrap();
        let expected = sampled(&image, 9, 7);
        for (bits, shift) in [(10, 0), (10, 6), (12, 4), (16, 0)] {
            let depth = Depth::word(bits, shift).unwrap();
            let mut words = vec![0xEE; bytes.len()];
            // Rounded to the same bytes.
            let near = |i: usize, v: u8| (u16::from(v) << (bits - 8)) + (i % 2) as u16;
            for (i, v) in bytes.iter().enumerate().step_by(step) {
                let word = depth.with_value([0xEE; 2], near(i, *v));
                words[i..i + 2].copy_from_slice(&word);
            }
            let image = Image::new(layout(step, depth), vec![Plane { data: &words, stride: width * step }]).unwrap();
            assert_eq!(sampled(&image, 9, 7), expected, "{bits} bits above {shift}, {step} apart");
        }
    }
}
