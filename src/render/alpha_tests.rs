//! Alpha: what is painted can be seen.

use super::tests::person;
use super::*;
use crate::image::{Color, Component, Layout, PlaneMut};

const WIDTH: usize = 61;
const HEIGHT: usize = 37;

/// Pictures of four bytes for each pixel, and where alpha lies among them.
fn layouts() -> Vec<(&'static str, Layout, usize)> {
    let new = |color, offsets: [usize; 3], alpha: usize| {
        let components = offsets.map(|offset| Component::full(0, offset, 4));
        Layout { alpha: Some(Component::full(0, alpha, 4)), ..Layout::new(WIDTH, HEIGHT, color, components) }
    };
    vec![
        ("RGBA", new(Color::RGB, [0, 1, 2], 3), 3),
        ("ABGR", new(Color::RGB, [3, 2, 1], 0), 0),
        ("AYUV", new(Color::BT709, [1, 2, 3], 0), 0),
        ("VUYA", new(Color::BT601, [2, 1, 0], 3), 3),
    ]
}

/// A picture of gray with this alpha, drawn on: alpha row after row, and the first colour byte of each pixel.
fn drawn((_, layout, at): &(&str, Layout, usize), alpha: u8, style: &Style) -> (Vec<u8>, Vec<u8>) {
    let pixel: [u8; 4] = std::array::from_fn(|k| if k == *at { alpha } else { 90 + k as u8 });
    let mut data = pixel.repeat(WIDTH * HEIGHT);
    let planes = vec![PlaneMut { data: &mut data, stride: 4 * WIDTH }];
    draw(&mut ImageMut::new(layout.clone(), planes).unwrap(), &[person(1, 5, 6, 40, 25)], style);
    let lane = |lane: usize| data.iter().skip(lane).step_by(4).copied().collect();
    (lane(*at), lane(layout.components[0].offset))
}

#[test]
fn pixels_are_opaque_as_far_as_they_are_painted() {
    let index = Style { style: StyleKind::Index, opacity: 1.0, canvas: Canvas::Black, ..Style::default() };
    let rgba = &layouts()[0];
    let body: Vec<bool> = drawn(rgba, 255, &index).1.iter().map(|&part| part > 0).collect();
    assert!(body.contains(&true) && body.contains(&false));
    for layout in layouts() {
        for (alpha, opacity) in [(0_u8, 1.0), (0, 0.5), (100, 0.25), (255, 0.7)] {
            for manner in [Manner::Own, Manner::Detectron2] {
                let style = Style { opacity, manner, ..Style::default() };
                let painted = f64::from(alpha) + (255.0 - f64::from(alpha)) * opacity;
                for (i, (&got, &body)) in drawn(&layout, alpha, &style).0.iter().zip(&body).enumerate() {
                    let expected = if body { painted } else { f64::from(alpha) };
                    let near = (f64::from(got) - expected).abs() <= if alpha == 255 { 0.0 } else { 1.0 };
                    assert!(near, "{} {alpha} {opacity} {manner:?}: {got}, not {expected}, at {i}", layout.0);
                }
            }
        }
    }
}

#[test]
fn a_canvas_of_one_colour_is_opaque_and_gray_is_not() {
    for layout in layouts() {
        for (canvas, expected) in [(Canvas::Black, 255), (Canvas::Palette, 255), (Canvas::Gray, 9)] {
            let alpha = drawn(&layout, 9, &Style { canvas, opacity: 0.0, ..Style::default() }).0;
            assert!(alpha.iter().all(|&a| a == expected), "{} {canvas:?}", layout.0);
        }
    }
}

#[test]
fn boxes_and_labels_are_opaque() {
    for layout in layouts() {
        let style = Style { opacity: 0.0, boxes: true, labels: true, ..Style::default() };
        let (alpha, colour) = drawn(&layout, 0, &style);
        let plain = 90 + layout.1.components[0].offset as u8;
        assert_eq!(alpha[6 * WIDTH + 5], 255);
        assert!(alpha.iter().zip(colour).all(|(&a, c)| a == 255 || (a, c) == (0, plain)), "{}", layout.0);
    }
}

#[test]
fn what_hides_is_opaque() {
    for layout in layouts() {
        for (method, opaque) in [
            (Method::Blur, 255),
            (Method::Pixelate, 255),
            (Method::Fill([255, 1, 2, 3]), 255),
            (Method::Fill([51, 1, 2, 3]), 51),
        ] {
            let style = Style { hiding: Some(Hiding { method, size: 0.3, margin: 0.1 }), ..Style::default() };
            let alpha = drawn(&layout, 0, &style).0;
            assert!(alpha.iter().all(|&a| a == opaque || a == 0), "{} {method:?}", layout.0);
            assert_eq!((alpha[18 * WIDTH + 25], alpha[WIDTH * HEIGHT - 1]), (opaque, 0), "{} {method:?}", layout.0);
        }
    }
}
