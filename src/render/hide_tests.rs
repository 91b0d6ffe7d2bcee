//! Hidden parts: what is gone, and what stays.

use super::tests::{Picture, layouts};
use super::*;
use crate::image::Layout;
use crate::person::IuvMap;
use std::sync::LazyLock;

const METHODS: [Method; 3] = [Method::Blur, Method::Pixelate, Method::Fill([255, 10, 200, 90])];
const WIDTH: usize = 101;
const HEIGHT: usize = 67;

/// A person whose face is a disc of 24 pixels across.
fn person() -> Person {
    let (w, h) = (40, 50);
    let pixel = |i: usize| {
        let (x, y) = ((i % w) as i32 - 20, (i / w) as i32 - 14);
        let part = if x * x + y * y < 144 {
            23 + u8::from(x > 0)
        } else if y > 14 {
            2
        } else {
            0
        };
        [part, 9, 9]
    };
    Person { id: 1, score: 0.9, x: 31, y: 7, iuv: IuvMap::new(w, h, (0..w * h).flat_map(pixel).collect()).unwrap() }
}

/// Whether a pixel of the picture shows the face, row after row.
static FACE: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let mut picture = Picture::new(Layout::gray(WIDTH, HEIGHT));
    let index = Style { style: StyleKind::Index, canvas: Canvas::Black, opacity: 1.0, ..Style::default() };
    picture.draw(&[person()], &index);
    (0..WIDTH * HEIGHT).map(|i| picture.sample(0, i % WIDTH, i / WIDTH) >= 23).collect()
});

fn is_face(x: usize, y: usize) -> bool {
    FACE[y * WIDTH + x]
}

fn style(method: Method, size: f64, margin: f64) -> Style {
    Style { hiding: Some(Hiding { method, size, margin }), parts: "23,24".parse().unwrap(), ..Style::default() }
}

/// Whether any of the pixels that a sample is for is within `reach` of the face.
fn near(c: &crate::image::Component, sx: usize, sy: usize, reach: usize) -> bool {
    let range = |s: usize, shift: u32, limit: usize| {
        (s << shift).saturating_sub(reach)..(((s + 1) << shift) + reach).min(limit)
    };
    range(sy, c.shift_y, HEIGHT).any(|y| range(sx, c.shift_x, WIDTH).any(|x| is_face(x, y)))
}

#[test]
fn what_was_under_the_parts_is_gone_and_the_rest_stays() {
    for (name, layout) in layouts(WIDTH, HEIGHT) {
        for method in METHODS {
            let style = style(method, 0.25, 0.1);
            let before = Picture::new(layout.clone());
            let mut after = before.clone();
            after.draw(&[person()], &style);
            assert_eq!(before.others(), after.others(), "{name} {method:?}");
            // Any other picture with the same means of blocks: details turned over inside blocks of four.
            let mut other = before.clone();
            let components = layout.components.clone();
            other.each_sample(|index, x, y| {
                let c = components[index];
                let (bw, bh) = (4 >> c.shift_x, 4 >> c.shift_y);
                let (w, h) = c.size(WIDTH, HEIGHT);
                let mirrored = |v: usize, b: usize, limit: usize| {
                    let start = v / b * b;
                    if start + b <= limit { start + b - 1 - (v - start) } else { v }
                };
                before.sample(index, mirrored(x, bw, w), mirrored(y, bh, h))
            });
            let mut other_after = other.clone();
            other_after.draw(&[person()], &style);
            for (index, c) in components.iter().enumerate() {
                let (w, h) = c.size(WIDTH, HEIGHT);
                for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                    let [old, new, of_other] = [&before, &after, &other_after].map(|p| p.sample(index, x, y));
                    // The face's side is 20 pixels: two of margin, eight of a block.
                    if near(c, x, y, 2) {
                        assert_eq!(
                            new, of_other,
                            "{name} {method:?}: component {index} at {x}, {y} tells more than means"
                        );
                    }
                    if !near(c, x, y, 3 + 8) {
                        assert_eq!(old, new, "{name} {method:?}: component {index} at {x}, {y} is far from the face");
                    }
                }
            }
        }
    }
}

#[test]
fn pixels_are_the_means_of_their_blocks() {
    let (_, layout) = layouts(WIDTH, HEIGHT).swap_remove(0);
    let before = Picture::new(layout);
    let mut after = before.clone();
    after.draw(&[person()], &style(Method::Pixelate, 0.25, 0.1));
    let block = 8;
    for (bx, by) in (0..HEIGHT / block).flat_map(|by| (0..WIDTH / block).map(move |bx| (bx * block, by * block))) {
        let places = || (by..by + block).flat_map(|y| (bx..bx + block).map(move |x| (x, y)));
        let touched = places().any(|(x, y)| is_face(x, y));
        let mean = places().map(|(x, y)| u32::from(before.sample(1, x, y))).sum::<u32>();
        let mean = ((mean + 32) / 64) as u8;
        if touched {
            assert!(places().all(|(x, y)| after.sample(1, x, y) == mean), "block at {bx}, {by}");
        }
    }
}

#[test]
fn a_fill_is_its_colour_and_its_alpha() {
    for (name, layout) in layouts(WIDTH, HEIGHT) {
        for alpha in [255, 128, 0] {
            let before = Picture::new(layout.clone());
            let mut after = before.clone();
            after.draw(&[person()], &style(Method::Fill([alpha, 10, 200, 90]), 0.3, 0.0));
            let color = layout.color.from_rgb([10, 200, 90]);
            for (index, c) in layout.components.iter().enumerate() {
                let (w, h) = c.size(WIDTH, HEIGHT);
                for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                    let old = before.sample(index, x, y);
                    let share = if near(c, x, y, 2) { f64::from(alpha) / 255.0 } else { 0.0 };
                    let expected = f64::from(old) + (f64::from(color[index]) - f64::from(old)) * share;
                    let got = f64::from(after.sample(index, x, y));
                    assert!((got - expected).abs() <= 0.51, "{name} {alpha}: {got}, not {expected} at {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn a_blur_grows_with_the_person() {
    // Stripes of two pixels are even after blurring; a slow ramp is not.
    let (_, layout) = layouts(WIDTH, HEIGHT).swap_remove(0);
    let mut picture = Picture::new(layout);
    picture.each_sample(|_, x, _| if x % 4 < 2 { 200 } else { 100 });
    picture.draw(&[person()], &style(Method::Blur, 0.25, 0.1));
    for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))).filter(|&(x, y)| is_face(x, y)) {
        assert_eq!(picture.sample(0, x, y), 150, "at {x}, {y}");
    }
}

#[test]
fn boxes_and_canvas_go_with_effects() {
    let (_, layout) = layouts(WIDTH, HEIGHT).swap_remove(0);
    let before = Picture::new(layout);
    let style = Style { canvas: Canvas::Black, boxes: true, ..style(Method::Pixelate, 0.3, 0.1) };
    let mut after = before.clone();
    after.draw(&[person()], &style);
    let lit = |x: usize, y: usize| (0..3).any(|c| after.sample(c, x, y) > 0);
    assert!(lit(31, 7) && lit(70, 56) && !lit(50, 20) && !lit(5, 5));
}

#[test]
fn means_of_the_largest_blocks_are_right() {
    // One block of 7680 by 4320 white pixels sums up to twice of what 32 bits hold.
    let (width, height) = (7680, 4320);
    let mut data = vec![255; width * height];
    let iuv = IuvMap::new(7000, 7000, [23, 9, 9].repeat(7000 * 7000)).unwrap();
    let person = Person { id: 1, score: 0.9, x: 300, y: -1000, iuv };
    let planes = vec![crate::image::PlaneMut { data: &mut data, stride: width }];
    let mut image = ImageMut::new(Layout::gray(width, height), planes).unwrap();
    draw(&mut image, &[person], &style(Method::Pixelate, 1.0, 0.0));
    assert_eq!(data.iter().filter(|&&v| v != 255).count(), 0);
}

#[test]
fn blocks_are_square_as_shown() {
    for (aspect, block) in [(1.0, (8, 8)), (4.0, (4, 12)), (0.25, (12, 4))] {
        let (_, layout) = layouts(WIDTH, HEIGHT).swap_remove(0);
        let before = Picture::new(Layout { pixel_aspect: aspect, ..layout });
        let mut after = before.clone();
        after.draw(&[person()], &style(Method::Pixelate, 0.25, 0.1));
        // Around the middle of the face.
        let (x, y) = (51, 21);
        let run = |step: &dyn Fn(usize) -> (usize, usize)| {
            (0..).map(step).take_while(|&(x, y)| after.sample(1, x, y) == after.sample(1, 51, 21)).count()
        };
        let across = run(&|k| (x + k, y)) + run(&|k| (x - k, y)) - 1;
        let down = run(&|k| (x, y + k)) + run(&|k| (x, y - k)) - 1;
        assert_eq!((across, down), block, "pixels of {aspect}");
    }
}
