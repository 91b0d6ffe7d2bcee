//! Pictures of more than eight bits: all bits are mixed, and those of the rest of the picture stay.

use super::tests::person;
use super::*;
use crate::image::{Color, Component, Depth, Layout, PlaneMut};

const WIDTH: usize = 61;
const HEIGHT: usize = 38;

/// A layout whose samples are bytes, with its planes as rows and bytes of a row.
type Case = (&'static str, Layout, Vec<(usize, usize)>);

fn cases() -> Vec<Case> {
    let sub = |plane, offset, step, shift_x, shift_y| Component { plane, offset, step, shift_x, shift_y };
    let y = Component::full(0, 0, 1);
    let new = |components: [Component; 3]| Layout::new(WIDTH, HEIGHT, Color::BT709, components);
    let (w, h) = (WIDTH.div_ceil(2), HEIGHT / 2);
    vec![
        ("I420", new([y, sub(1, 0, 1, 1, 1), sub(2, 0, 1, 1, 1)]), vec![(HEIGHT, WIDTH), (h, w), (h, w)]),
        ("I422", new([y, sub(1, 0, 1, 1, 0), sub(2, 0, 1, 1, 0)]), vec![(HEIGHT, WIDTH), (HEIGHT, w), (HEIGHT, w)]),
        ("Y444", new([y, sub(1, 0, 1, 0, 0), sub(2, 0, 1, 0, 0)]), vec![(HEIGHT, WIDTH); 3]),
        ("P010", new([y, sub(1, 0, 2, 1, 1), sub(1, 1, 2, 1, 1)]), vec![(HEIGHT, WIDTH), (h, 2 * w)]),
        (
            "GBR",
            Layout::new(WIDTH, HEIGHT, Color::RGB, [2, 0, 1].map(|p| Component::full(p, 0, 1))),
            vec![(HEIGHT, WIDTH); 3],
        ),
    ]
}

/// The same with words.
fn deep(layout: &Layout, depth: Depth) -> Layout {
    let twice = |c: &Component| Component { offset: 2 * c.offset, step: 2 * c.step, ..*c };
    Layout { depth, components: layout.components.iter().map(twice).collect(), ..layout.clone() }
}

fn draw_on(layout: &Layout, data: &mut [Vec<u8>], planes: &[(usize, usize)], sample: usize, style: &Style) {
    let planes = data.iter_mut().zip(planes).map(|(data, &(_, row))| PlaneMut { data, stride: sample * row }).collect();
    let persons = [person(1, 5, 6, 40, 25), person(2, 30, 20, 40, 25)];
    draw(&mut ImageMut::new(layout.clone(), planes).unwrap(), &persons, style);
}

fn byte(i: usize) -> u8 {
    (i * 7919 % 190 + 30) as u8
}

#[test]
fn words_are_drawn_like_bytes() {
    let hiding = |method| Style { hiding: Some(Hiding { method, size: 0.3, margin: 0.1 }), ..Style::default() };
    let mut styles = StyleKind::ALL.map(|style| Style { style, opacity: 0.6, ..Style::default() }).to_vec();
    styles.extend([Canvas::Gray, Canvas::Black, Canvas::Palette].map(|canvas| Style { canvas, ..Style::default() }));
    styles.extend(
        [Method::Blur, Method::Pixelate, Method::Fill([255, 1, 2, 3]), Method::Fill([99, 1, 2, 3])].map(hiding),
    );
    styles.push(Style { boxes: true, labels: true, manner: Manner::Detectron2, ..Style::default() });
    for (name, layout, planes) in cases() {
        for style in &styles {
            let bytes: Vec<Vec<u8>> = planes.iter().map(|(h, w)| (0..h * w).map(byte).collect()).collect();
            let mut drawn = bytes.clone();
            draw_on(&layout, &mut drawn, &planes, 1, style);
            for (bits, shift) in [(10, 0), (10, 6), (16, 0)] {
                let (depth, one) = (Depth::word(bits, shift).unwrap(), 1 << (bits - 8));
                // Bits that do not count are ones where there are any.
                let word = |v: &u8| depth.with_value([0xff; 2], u16::from(*v) * one);
                let mut words: Vec<Vec<u8>> = bytes.iter().map(|p| p.iter().flat_map(word).collect()).collect();
                draw_on(&deep(&layout, depth), &mut words, &planes, 2, style);
                for (plane, (words, drawn)) in words.iter().zip(&drawn).enumerate() {
                    for (i, (word, byte)) in words.as_chunks().0.iter().zip(drawn).enumerate() {
                        let off = f64::from(depth.value(*word)) / f64::from(one) - f64::from(*byte);
                        // Two people one over the other are rounded twice, blurred blocks twice, cut off once.
                        let near = off.abs() <= if style.manner == Manner::Own { 1.0 } else { 2.0 };
                        assert!(near, "{name} {bits} {shift} {style:?}: off by {off} at {i} of plane {plane}");
                        let idle = depth.with_value(*word, 0);
                        assert_eq!(idle, depth.with_value([0xff; 2], 0), "{name}: idle bits change");
                    }
                }
            }
        }
    }
}

#[test]
fn ten_bits_stay_ten_bits() {
    let depth = Depth::word(10, 0).unwrap();
    let layout =
        Layout { depth, ..Layout::new(WIDTH, HEIGHT, Color::BT709, [0, 1, 2].map(|p| Component::full(p, 0, 2))) };
    let (planes, values) = (vec![(HEIGHT, WIDTH); 3], |i: usize| (i * 7919 % 800 + 90) as u16);
    let before: Vec<Vec<u8>> = vec![(0..WIDTH * HEIGHT).flat_map(|i| values(i).to_le_bytes()).collect(); 3];
    let style = Style { style: StyleKind::Index, opacity: 0.5, ..Style::default() };
    let mut after = before.clone();
    draw_on(&layout, &mut after, &planes, 2, &style);
    let mut painted = 0;
    let persons = [person(1, 5, 6, 40, 25), person(2, 30, 20, 40, 25)];
    for (i, word) in after[0].as_chunks().0.iter().enumerate() {
        let part = persons.iter().rev().find_map(|p| {
            let (x, y) = ((i % WIDTH).checked_sub(p.x as usize)?, (i / WIDTH).checked_sub(p.y as usize)?);
            let pixel = (x < p.width() && y < p.height()).then(|| p.iuv.pixel(x, y))?;
            (1..=24).contains(&pixel[0]).then_some(pixel[0])
        });
        let old = f64::from(values(i));
        // Colours have eight bits, in the range of the video: part 1 is 17.
        let expected = part.map_or(old, |part| {
            let luma = layout.color.from_rgb([part; 3])[0];
            (old + f64::from(luma) * 4.0) / 2.0
        });
        let got = f64::from(depth.value(*word));
        assert!((got - expected).abs() <= if part.is_some() { 1.0 } else { 0.0 }, "{got}, not {expected}, at {i}");
        painted += usize::from(part.is_some() && got % 4.0 != 0.0);
    }
    assert!(painted > 300, "only {painted} painted pixels use the lower bits");
}
