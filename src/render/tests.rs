//! Pictures of every layout against the formulas of the styles.

use super::*;
use crate::image::{Color, ColorModel, Component, Layout, PlaneMut};
use crate::person::IuvMap;

const KEYED_AND_RAW: [StyleKind; 6] =
    [StyleKind::Parts, StyleKind::U, StyleKind::V, StyleKind::Iuv, StyleKind::IuvLegacy, StyleKind::Index];
/// What bytes hold that belong to no component: padding and alpha.
const UNTOUCHED: u8 = 0xa5;

/// A picture with its bytes; rows have padding.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) layout: Layout,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Picture {
    pub(super) fn new(layout: Layout) -> Self {
        let count = layout.components.iter().map(|c| c.plane + 1).max().unwrap();
        let planes = (0..count)
            .map(|plane| {
                let inside = layout.components.iter().filter(|c| c.plane == plane);
                let size = |c: &Component| {
                    let (w, h) = c.size(layout.width, layout.height);
                    (c.offset + w * c.step, h)
                };
                let (row, rows) = inside.map(size).fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
                (vec![UNTOUCHED; (row + 5) * rows], row + 5)
            })
            .collect();
        let mut picture = Self { layout, planes };
        picture.each_sample(|component, x, y| (37 * component + 11 * x + 7 * y) as u8 % 190 + 30);
        picture
    }

    pub(super) fn each_sample(&mut self, value: impl Fn(usize, usize, usize) -> u8) {
        for index in 0..self.layout.components.len() {
            let (w, h) = self.layout.components[index].size(self.layout.width, self.layout.height);
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                *self.sample_mut(index, x, y) = value(index, x, y);
            }
        }
    }

    fn sample_mut(&mut self, index: usize, x: usize, y: usize) -> &mut u8 {
        let c = self.layout.components[index];
        let (data, stride) = &mut self.planes[c.plane];
        &mut data[y * *stride + c.offset + x * c.step]
    }

    pub(super) fn sample(&self, index: usize, x: usize, y: usize) -> u8 {
        let c = self.layout.components[index];
        let (data, stride) = &self.planes[c.plane];
        data[y * stride + c.offset + x * c.step]
    }

    pub(super) fn draw(&mut self, persons: &[Person], style: &Style) {
        self.draw_with(&mut Renderer::default(), persons, style);
    }

    pub(super) fn draw_with(&mut self, renderer: &mut Renderer, persons: &[Person], style: &Style) {
        let planes = self.planes.iter_mut().map(|(data, stride)| PlaneMut { data, stride: *stride }).collect();
        renderer.draw(&mut ImageMut::new(self.layout.clone(), planes).unwrap(), persons, style);
    }

    /// What is not a sample: padding and alpha.
    pub(super) fn others(&self) -> Vec<u8> {
        let mut copy = self.clone();
        copy.each_sample(|_, _, _| 0);
        copy.planes.into_iter().flat_map(|(data, _)| data).collect()
    }
}

pub(super) fn layouts(width: usize, height: usize) -> Vec<(&'static str, Layout)> {
    let packed = |step, offsets| Layout::packed_rgb(width, height, step, offsets);
    let with = |color, components: [Component; 3]| Layout::new(width, height, color, components);
    let sub = |plane, offset, step, shift_x, shift_y| Component { plane, offset, step, shift_x, shift_y };
    let y = Component::full(0, 0, 1);
    vec![
        ("RGB", packed(3, [0, 1, 2])),
        ("BGR", packed(3, [2, 1, 0])),
        ("RGBA", packed(4, [0, 1, 2])),
        ("BGRx", packed(4, [2, 1, 0])),
        ("ARGB", packed(4, [1, 2, 3])),
        ("xBGR", packed(4, [3, 2, 1])),
        ("GBR", with(Color::RGB, [Component::full(2, 0, 1), y, Component::full(1, 0, 1)])),
        ("I420", with(Color::BT601, [y, sub(1, 0, 1, 1, 1), sub(2, 0, 1, 1, 1)])),
        ("NV12", with(Color::BT709, [y, sub(1, 0, 2, 1, 1), sub(1, 1, 2, 1, 1)])),
        ("NV21", with(Color { full_range: true, ..Color::BT601 }, [y, sub(1, 1, 2, 1, 1), sub(1, 0, 2, 1, 1)])),
        ("YUY2", with(Color::BT709, [Component::full(0, 0, 2), sub(0, 1, 4, 1, 0), sub(0, 3, 4, 1, 0)])),
        ("UYVY", with(Color::BT601, [Component::full(0, 1, 2), sub(0, 0, 4, 1, 0), sub(0, 2, 4, 1, 0)])),
        ("Y444", with(Color::BT601, [y, Component::full(1, 0, 1), Component::full(2, 0, 1)])),
        ("AYUV", with(Color::BT709, [1, 2, 3].map(|offset| Component::full(0, offset, 4)))),
        ("NV24", with(Color::BT601, [y, Component::full(1, 0, 2), Component::full(1, 1, 2)])),
        ("Y41B", with(Color::BT601, [y, sub(1, 0, 1, 2, 0), sub(2, 0, 1, 2, 0)])),
        ("YUV9", with(Color::BT601, [y, sub(1, 0, 1, 2, 2), sub(2, 0, 1, 2, 2)])),
        ("GRAY8", Layout::gray(width, height)),
    ]
}

/// A map whose every pixel is another; labels repeat 0..=26, two of which stand for no part.
pub(super) fn person(id: u32, x: i32, y: i32, width: usize, height: usize) -> Person {
    let pixel = |i: usize| [((i / 3 + i / 41) % 27) as u8, (i * 5 % 256) as u8, (255 - i * 3 % 256) as u8];
    let data = (0..width * height).flat_map(|i| pixel(i + id as usize * 7)).collect();
    Person { id, score: 0.5, x, y, iuv: IuvMap::new(width, height, data).unwrap() }
}

/// The pixel of the map that shows at a position: of the last person who has a body part there.
fn shown(persons: &[Person], x: usize, y: usize) -> Option<[u8; 3]> {
    persons.iter().rev().find_map(|p| {
        let (x, y) =
            (usize::try_from(x as i64 - i64::from(p.x)).ok()?, usize::try_from(y as i64 - i64::from(p.y)).ok()?);
        let pixel = (x < p.width() && y < p.height()).then(|| p.iuv.pixel(x, y))?;
        (1..=24).contains(&pixel[0]).then_some(pixel)
    })
}

/// The styles' definitions.
fn color_of(style: &Style, [i, u, v]: [u8; 3]) -> [u8; 3] {
    match style.style {
        StyleKind::Parts => style.palette.part(i),
        StyleKind::U => style.palette.color(u),
        StyleKind::V => style.palette.color(v),
        StyleKind::Iuv => [i, u, v],
        StyleKind::IuvLegacy => [v, u, i],
        StyleKind::Index => [i; 3],
        StyleKind::Contour | StyleKind::Texture => unreachable!("has no colour per pixel"),
    }
}

/// Every sample of a drawn picture: the mean of the pixels that it covers, each mixed by opacity.
fn check(name: &str, before: &Picture, after: &Picture, persons: &[Person], style: &Style, tolerance: f64) {
    let Layout { width, height, color, ref components, .. } = before.layout;
    for (index, c) in components.iter().enumerate() {
        let (w, h) = c.size(width, height);
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let old = f64::from(before.sample(index, x, y));
            let (mut sum, mut n) = (0.0, 0.0);
            for py in y << c.shift_y..height.min((y + 1) << c.shift_y) {
                for px in x << c.shift_x..width.min((x + 1) << c.shift_x) {
                    let new = shown(persons, px, py).map(|p| f64::from(color.from_rgb(color_of(style, p))[index]));
                    sum += new.map_or(old, |new| old + (new - old) * style.opacity);
                    n += 1.0;
                }
            }
            let (got, expected) = (f64::from(after.sample(index, x, y)), sum / n);
            assert!(
                (got - expected).abs() <= tolerance,
                "{name} {:?}: component {index} at {x}, {y} is {got}, not {expected} (was {old})",
                style.style
            );
        }
    }
    assert_eq!(before.others(), after.others(), "{name}: padding or alpha changed");
}

/// People inside, over each edge, on top of each other, and wholly outside of a picture of 33 by 17.
pub(super) fn crowd() -> Vec<Person> {
    vec![
        person(0, 2, 3, 21, 9),
        person(1, 10, 5, 12, 30),
        person(2, -6, -4, 13, 11),
        person(3, 25, -2, 40, 6),
        person(4, 40, 2, 5, 5),
        person(5, -50, 2, 5, 5),
        person(6, i32::MAX, i32::MAX, 3, 3),
        person(7, i32::MIN, i32::MIN, 3, 3),
        person(8, 4, 4, 0, 0),
        person(9, 4, 4, 0, 7),
    ]
}

#[test]
fn every_style_follows_its_formula_in_every_layout() {
    let persons = crowd();
    for (width, height) in [(33, 17), (32, 16), (1, 1), (2, 1), (1, 5), (3, 3)] {
        for (name, layout) in layouts(width, height) {
            for style in KEYED_AND_RAW {
                for (palette, opacity) in [(Palette::Parula, 0.7), (Palette::Viridis, 1.0), (Palette::Parula, 0.25)] {
                    let style = Style { style, palette, opacity, ..Style::default() };
                    let before = Picture::new(layout.clone());
                    let mut after = before.clone();
                    after.draw(&persons, &style);
                    check(name, &before, &after, &persons, &style, 1.5);
                }
            }
        }
    }
}

#[test]
fn opaque_colours_are_exact() {
    let persons = crowd();
    for (name, layout) in layouts(33, 17) {
        let subsampled = layout.components.iter().any(|c| c.shift_x > 0);
        let rgb_or_gray = !matches!(layout.color.model, ColorModel::Yuv { .. });
        for style in KEYED_AND_RAW {
            let raw = matches!(style, StyleKind::Iuv | StyleKind::IuvLegacy);
            let gray_of_raw = raw && layout.color.model == ColorModel::Gray;
            if subsampled || gray_of_raw || (raw && !rgb_or_gray) {
                continue;
            }
            let style = Style { style, opacity: 1.0, ..Style::default() };
            let before = Picture::new(layout.clone());
            let mut after = before.clone();
            after.draw(&persons, &style);
            check(name, &before, &after, &persons, &style, 0.0);
        }
    }
}

#[test]
fn raw_maps_on_black_are_the_map_and_nothing_else() {
    let persons = [person(1, 2, 1, 20, 9)];
    for (style, order) in [(StyleKind::Iuv, [0, 1, 2]), (StyleKind::IuvLegacy, [2, 1, 0])] {
        let mut picture = Picture::new(Layout::packed_rgb(24, 12, 3, [0, 1, 2]));
        picture.draw(&persons, &Style { style, canvas: Canvas::Black, opacity: 1.0, ..Style::default() });
        for (x, y) in (0..12).flat_map(|y| (0..24).map(move |x| (x, y))) {
            let expected = shown(&persons, x, y).unwrap_or_default();
            assert_eq!([0, 1, 2].map(|c| picture.sample(c, x, y)), order.map(|k| expected[k]), "at {x}, {y}");
        }
    }
    let mut gray = Picture::new(Layout::gray(24, 12));
    gray.draw(&persons, &Style { style: StyleKind::Index, canvas: Canvas::Black, opacity: 1.0, ..Style::default() });
    assert_eq!(gray.sample(0, 5, 5), shown(&persons, 5, 5).unwrap()[0]);
}

#[test]
fn invisible_people_change_nothing() {
    for (name, layout) in layouts(33, 17) {
        for style in StyleKind::ALL {
            for opacity in [0.0, -3.0, f64::NAN] {
                let before = Picture::new(layout.clone());
                let mut after = before.clone();
                after.draw(&crowd(), &Style { style, opacity, ..Style::default() });
                assert_eq!(before, after, "{name} {style:?} {opacity}");
            }
        }
    }
}

#[test]
fn labels_beyond_the_parts_are_background() {
    let data = (0..40 * 40).flat_map(|i| [(25 + i % 231) as u8, (i % 256) as u8, (i / 40) as u8]).collect();
    let hostile = Person { id: 1, score: f32::NAN, x: -3, y: 2, iuv: IuvMap::new(40, 40, data).unwrap() };
    for (name, layout) in layouts(33, 17) {
        for style in StyleKind::ALL {
            let before = Picture::new(layout.clone());
            let mut after = before.clone();
            after.draw(std::slice::from_ref(&hostile), &Style { style, opacity: 1.0, ..Style::default() });
            assert_eq!(before, after, "{name} {style:?}");
        }
    }
}

#[test]
fn a_canvas_replaces_the_picture_and_nothing_else() {
    for (name, layout) in layouts(33, 17) {
        let before = Picture::new(layout.clone());
        let drawn = |canvas| {
            let mut after = before.clone();
            after.draw(&[], &Style { canvas, palette: Palette::Viridis, ..Style::default() });
            assert_eq!(before.others(), after.others(), "{name}: padding or alpha changed");
            after
        };
        assert_eq!(drawn(Canvas::Video), before);
        for (canvas, rgb) in [(Canvas::Black, [0; 3]), (Canvas::Palette, [0x44, 0x01, 0x54])] {
            let mut expected = before.clone();
            expected.each_sample(|index, _, _| layout.color.from_rgb(rgb)[index]);
            assert_eq!(drawn(canvas), expected, "{name} {canvas:?}");
        }
        let gray = drawn(Canvas::Gray);
        let mut expected = before.clone();
        match layout.color.model {
            ColorModel::Gray => {}
            ColorModel::Yuv { .. } => {
                expected.each_sample(|index, x, y| if index == 0 { before.sample(0, x, y) } else { 128 });
            }
            ColorModel::Rgb => expected.each_sample(|_, x, y| {
                let [r, g, b] = [0, 1, 2].map(|c| f64::from(before.sample(c, x, y)));
                (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
            }),
        }
        assert_eq!(gray, expected, "{name}");
    }
}

#[test]
fn gray_is_the_gray_of_opencv() {
    for (rgb, gray) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([255; 3], 255), ([12, 200, 99], 132)]
    {
        let mut picture = Picture::new(Layout::packed_rgb(9, 1, 4, [2, 1, 0]));
        picture.each_sample(|c, _, _| rgb[c]);
        picture.draw(&[], &Style { canvas: Canvas::Gray, ..Style::default() });
        assert!((0..9).all(|x| (0..3).all(|c| picture.sample(c, x, 0) == gray)), "{rgb:?}");
    }
}

#[test]
fn people_are_drawn_on_the_canvas() {
    let persons = crowd();
    for (name, layout) in layouts(33, 17) {
        let mut canvas = Picture::new(layout.clone());
        let mut after = canvas.clone();
        let style = Style { canvas: Canvas::Palette, ..Style::default() };
        canvas.draw(&[], &style);
        after.draw(&persons, &style);
        check(name, &canvas, &after, &persons, &style, 1.5);
    }
}

/// A rectangle of one part on which U grows by `slope` per column, and V stays in the middle between two lines.
fn ramp(width: usize, height: usize, slope: f64) -> Person {
    let data = (0..width * height).flat_map(|i| [7, ((i % width) as f64 * slope).round() as u8, 127]).collect();
    Person { id: 1, score: 1.0, x: 0, y: 0, iuv: IuvMap::new(width, height, data).unwrap() }
}

#[test]
fn contours_are_at_the_levels_between_the_ends_of_nine_steps() {
    for (side, slope, thickness) in
        [(720, 0.4, 1.5), (720, 1.0, 1.5), (720, 3.0, 1.5), (400, 1.0, 1.0), (1440, 0.4, 3.0)]
    {
        let width = (255.0 / slope) as usize + 1;
        let mut picture = Picture::new(Layout::packed_rgb(side, side, 3, [0, 1, 2]));
        picture.each_sample(|_, _, _| 255);
        let person = ramp(width, 9, slope);
        let style = Style { style: StyleKind::Contour, opacity: 1.0, ..Style::default() };
        picture.draw(&[person], &style);
        let inked: Vec<usize> = (0..width).filter(|&x| (0..3).any(|c| picture.sample(c, x, 4) != 255)).collect();
        for k in 1..9 {
            let value = 255.0 / 9.0 * f64::from(k);
            let middle = value / slope;
            let near = |x: &&usize| (**x as f64 - middle).abs() < 14.0 / slope;
            let columns: Vec<&usize> = inked.iter().filter(near).collect();
            let color = style.palette.color(value as u8);
            let darkness = |&&x: &&usize| {
                let c = (0..3).max_by_key(|&c| 255 - color[c]).unwrap();
                (255.0 - f64::from(picture.sample(c, x, 4))) / (255.0 - f64::from(color[c]))
            };
            let ink: f64 = columns.iter().map(darkness).sum();
            let center: f64 = columns.iter().map(|x| darkness(x) * **x as f64).sum::<f64>() / ink;
            // Values are known to half a byte.
            assert!(
                (center - middle).abs() < 0.2 + 0.5 / slope,
                "line {k} of {side}, {slope}: at {center}, not {middle}"
            );
            assert!((ink - thickness).abs() < 0.35 * thickness, "line {k} of {side}, {slope}: {ink} wide");
        }
        let free = (0..width).filter(|x| !inked.contains(x)).count() as f64;
        assert!(free > width as f64 - 8.0 * (thickness + 2.5), "only {free} of {width} columns are free of lines");
    }
}

#[test]
fn contours_stay_inside_parts_and_do_not_follow_their_borders() {
    // Two parts and background, each without a line inside.
    let data = (0..60 * 20).flat_map(|i| match i % 60 {
        0..20 => [3, 120, 120],
        20..40 => [4, 200, 10],
        _ => [0, 0, 0],
    });
    let person = Person { id: 1, score: 1.0, x: 5, y: 5, iuv: IuvMap::new(60, 20, data.collect()).unwrap() };
    for (name, layout) in layouts(70, 30) {
        let before = Picture::new(layout);
        let mut after = before.clone();
        after.draw(
            std::slice::from_ref(&person),
            &Style { style: StyleKind::Contour, opacity: 1.0, ..Style::default() },
        );
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn contours_are_cut_like_everything_else() {
    let whole = |x: i32| {
        let mut picture = Picture::new(Layout::packed_rgb(300, 40, 3, [0, 1, 2]));
        picture.each_sample(|_, _, _| 0);
        let person = Person { x, y: -5, ..ramp(256, 30, 1.0) };
        picture.draw(&[person], &Style { style: StyleKind::Contour, ..Style::default() });
        (0..300 * 40).map(|i| [0, 1, 2].map(|c| picture.sample(c, i % 300, i / 300))).collect::<Vec<_>>()
    };
    let (inside, left, right) = (whole(20), whole(-100), whole(200));
    for y in 0..40 {
        assert_eq!(inside[y * 300 + 120..y * 300 + 276], left[y * 300..y * 300 + 156]);
        assert_eq!(inside[y * 300 + 20..y * 300 + 120], right[y * 300 + 200..y * 300 + 300]);
    }
}

#[test]
fn boxes_frame_people_and_leave_the_inside_alone() {
    let before = Picture::new(Layout::packed_rgb(80, 60, 3, [0, 1, 2]));
    let mut after = before.clone();
    let empty = Person { iuv: IuvMap::background(20, 10), ..person(3, 10, 20, 1, 1) };
    after.draw(&[empty], &Style { boxes: true, opacity: 0.0, ..Style::default() });
    let at = |x, y| [0, 1, 2].map(|c| after.sample(c, x, y));
    let ink = at(10, 20);
    for (x, y) in (0..60).flat_map(|y| (0..80).map(move |x| (x, y))) {
        let inside = (10..30).contains(&x) && (20..30).contains(&y);
        let border = inside && (x == 10 || x == 29 || y == 20 || y == 29);
        let expected = if border { ink } else { [0, 1, 2].map(|c| before.sample(c, x, y)) };
        assert_eq!(at(x, y), expected, "at {x}, {y}");
    }
}

#[test]
fn labels_are_above_the_box_and_inside_the_picture() {
    let style = Style { labels: true, opacity: 0.0, ..Style::default() };
    let changed = |x: i32, y: i32| {
        let before = Picture::new(Layout::packed_rgb(160, 120, 3, [0, 1, 2]));
        let mut after = before.clone();
        let person = Person { iuv: IuvMap::background(30, 40), ..person(12, x, y, 1, 1) };
        after.draw(&[person], &style);
        let differs = |&(x, y): &(usize, usize)| (0..3).any(|c| before.sample(c, x, y) != after.sample(c, x, y));
        let places: Vec<_> = (0..120).flat_map(|y| (0..160).map(move |x| (x, y))).filter(differs).collect();
        let range = |of: fn(&(usize, usize)) -> usize| {
            (places.iter().map(of).min().unwrap(), places.iter().map(of).max().unwrap() + 1)
        };
        (range(|p| p.0), range(|p| p.1))
    };
    // "#12 0.50": eight characters of five pixels with one between, and two pixels on each side.
    let (width, height) = (8 * 6 - 1 + 4, 7 + 4);
    assert_eq!(changed(20, 60), ((20, 20 + width), (60 - height, 60)));
    assert_eq!(changed(-20, 60), ((0, width), (60 - height, 60)));
    assert_eq!(changed(150, 60), ((160 - width, 160), (60 - height, 60)));
    assert_eq!(changed(20, 3), ((20, 20 + width), (3, 3 + height)));
    assert_eq!(changed(20, -30), ((20, 20 + width), (0, height)));
}

#[test]
fn anything_goes_without_panic_and_twice_the_same() {
    // A small generator of numbers without pattern (xorshift).
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    let texture = Some(Arc::new(Texture::new(8, 12, &[[9, 99, 199, 177]; 96]).unwrap()));
    let mut renderer = Renderer::default();
    renderer.set_texture(texture.clone());
    for _ in 0..120 {
        let (width, height) = (1 + below(70) as usize, 1 + below(70) as usize);
        let persons: Vec<Person> = (0..below(5))
            .map(|id| {
                let (w, h) = (below(90) as usize, below(90) as usize);
                let data = (0..w * h * 3).map(|i| if i % 3 == 0 { below(27) } else { below(256) } as u8).collect();
                let (x, y) = (below(160) as i32 - 90, below(160) as i32 - 90);
                let id = if id == 0 { u32::MAX } else { id as u32 };
                Person { id, score: below(100) as f32 - 50.0, x, y, iuv: IuvMap::new(w, h, data).unwrap() }
            })
            .collect();
        let style = Style {
            style: StyleKind::ALL[below(8) as usize],
            palette: if below(2) == 0 { Palette::Parula } else { Palette::Viridis },
            opacity: below(5) as f64 / 4.0,
            canvas: [Canvas::Video, Canvas::Gray, Canvas::Black, Canvas::Palette][below(4) as usize],
            boxes: below(2) == 0,
            labels: below(2) == 0,
            parts: if below(2) == 0 { Parts::ALL } else { "1-9,20".parse().unwrap() },
            hiding: match below(8) {
                0..4 => None,
                k => Some(Hiding {
                    method: [Method::Blur, Method::Pixelate, Method::Fill([below(256) as u8, 1, 2, 3])][k as usize % 3],
                    size: below(12) as f64 / 10.0,
                    margin: [0.0, 0.1, 1.0, f64::NAN][below(4) as usize],
                }),
            },
            order: if below(2) == 0 { Order::Given } else { Order::BestFirst },
            manner: if below(3) > 0 { Manner::Own } else { Manner::Detectron2 },
            min_score: (below(3) == 0).then_some(-20.0),
        };
        for (name, layout) in layouts(width, height) {
            let before = Picture::new(layout);
            let (mut fresh, mut reused) = (before.clone(), before.clone());
            let mut new = Renderer::default();
            new.set_texture(texture.clone());
            fresh.draw_with(&mut new, &persons, &style);
            reused.draw_with(&mut renderer, &persons, &style);
            assert_eq!(fresh, reused, "{name} {style:?}");
            assert_eq!(before.others(), fresh.others(), "{name}: padding or alpha changed");
        }
    }
}
