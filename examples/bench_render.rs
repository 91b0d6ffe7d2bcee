//! How long drawing takes: milliseconds per picture, median, for every style and pixel layout.
//!
//! `cargo run --release --example bench_render [-- WIDTHxHEIGHT]`; one person, then two that fill most of the picture; one
//! core. After the styles every effect and preset.
//! The last columns draw on RGB with each canvas, and compare RGB with copying the picture once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use gstdensepose::image::{Color, Component, ImageMut, Layout, PlaneMut};
use gstdensepose::person::{IuvMap, Person};
use gstdensepose::render::{Canvas, Hiding, Method, Preset, Renderer, Style, StyleKind, Texture};

const ROUNDS: usize = 31;

/// A picture's layout, and bytes and stride of each plane.
struct Case {
    name: &'static str,
    layout: Layout,
    planes: Vec<(usize, usize)>,
}

fn cases(w: usize, h: usize) -> Vec<Case> {
    let packed = |name, step, offsets| Case {
        name,
        layout: Layout::packed_rgb(w, h, step, offsets),
        planes: vec![(w * h * step, w * step)],
    };
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let yuv = |name, components: [Component; 3], planes| Case {
        name,
        layout: Layout::new(w, h, Color::BT709, components),
        planes,
    };
    let sub = |plane, offset, step, shift_y| Component { plane, offset, step, shift_x: 1, shift_y };
    let y = Component::full(0, 0, 1);
    vec![
        packed("RGB", 3, [0, 1, 2]),
        packed("BGRx", 4, [2, 1, 0]),
        packed("ARGB", 4, [1, 2, 3]),
        yuv("I420", [y, sub(1, 0, 1, 1), sub(2, 0, 1, 1)], vec![(w * h, w), (cw * ch, cw), (cw * ch, cw)]),
        yuv("NV12", [y, sub(1, 0, 2, 1), sub(1, 1, 2, 1)], vec![(w * h, w), (2 * cw * ch, 2 * cw)]),
        yuv("YUY2", [Component::full(0, 0, 2), sub(0, 1, 4, 0), sub(0, 3, 4, 0)], vec![(4 * cw * h, 4 * cw)]),
        Case { name: "GRAY8", layout: Layout::gray(w, h), planes: vec![(w * h, w)] },
    ]
}

/// A body-sized ellipse of all 24 parts in a 4 by 6 grid, with smooth U and V.
fn figure(id: u32, x: i32, y: i32, w: usize, h: usize) -> Person {
    let mut data = Vec::with_capacity(w * h * 3);
    for row in 0..h {
        for column in 0..w {
            let (a, b) = (column as f32 / w as f32, row as f32 / h as f32);
            let inside = (2.0 * a - 1.0).powi(2) + (2.0 * b - 1.0).powi(2) < 1.0;
            let part = (a * 4.0) as u8 + 4 * (b * 6.0) as u8 + 1;
            let chart = [(a * 4.0).fract(), (b * 6.0).fract()].map(|v| (v * 255.0) as u8);
            data.extend(if inside { [part, chart[0], chart[1]] } else { [0; 3] });
        }
    }
    Person { id, score: 0.9, x, y, iuv: IuvMap::new(w, h, data).expect("three bytes per pixel") }
}

fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn time(case: &Case, persons: &[Person], style: &Style) -> f64 {
    let mut renderer = Renderer::default();
    renderer.set_texture(Texture::new(800, 1200, &vec![[90, 140, 190, 255]; 800 * 1200]).ok().map(Arc::new));
    let mut bytes: Vec<Vec<u8>> = case.planes.iter().map(|&(size, _)| vec![90; size]).collect();
    median(|| {
        let planes = bytes.iter_mut().zip(&case.planes).map(|(data, &(_, stride))| PlaneMut { data, stride }).collect();
        let mut image = ImageMut::new(case.layout.clone(), planes).expect("planes fit the layout");
        renderer.draw(&mut image, black_box(persons), style);
    })
}

fn main() {
    let size = std::env::args().nth(1).unwrap_or_else(|| "1280x720".into());
    let Some((w, h)) = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?))) else {
        eprintln!("usage: bench_render [WIDTHxHEIGHT]");
        std::process::exit(2);
    };
    let (source, mut target) = (vec![90u8; w * h * 3], vec![0u8; w * h * 3]);
    let copy = median(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    println!("{w}x{h}, milliseconds; copying the picture (RGB): {copy:.2} ms");
    let tall = h * 8 / 9;
    let crowded = [figure(1, 0, 0, w / 2, h), figure(2, (w / 2) as i32, 0, w / 2, h)];
    for persons in [&[figure(1, w as i32 / 3, h as i32 / 18, tall / 2, tall)], &crowded[..]] {
        let body = persons.iter().flat_map(|p| p.iuv.data().chunks(3)).filter(|p| p[0] != 0).count();
        let (count, share) = (persons.len(), 100.0 * body as f64 / (w * h) as f64);
        println!("\n{count} person(s), {share:.0} % of the picture body\n");
        measure(&cases(w, h), persons, copy);
    }
}

/// Prints the table of a scene.
fn measure(cases: &[Case], persons: &[Person], copy: f64) {
    print!("{:12}", "ms");
    cases.iter().for_each(|c| print!("{:>8}", c.name));
    println!("{:>8}{:>8}{:>8}{:>10}", "+boxes", "+gray", "+black", "RGB/copy");
    for kind in StyleKind::ALL {
        let style = Style { style: kind, ..Style::default() };
        print!("{:12}", format!("{kind:?}"));
        let times: Vec<f64> = cases.iter().map(|c| time(c, persons, &style)).collect();
        times.iter().for_each(|t| print!("{t:8.2}"));
        let annotated = Style { boxes: true, labels: true, ..style };
        let extra = [annotated, Style { canvas: Canvas::Gray, ..style }, Style { canvas: Canvas::Black, ..style }];
        extra.iter().for_each(|s| print!("{:8.2}", time(&cases[0], persons, s)));
        println!("{:10.1}", times[0] / copy);
    }
    let hiding = |method| Style { hiding: Some(Hiding { method, size: 0.25, margin: 0.1 }), ..Style::default() };
    let methods = [Method::Blur, Method::Pixelate, Method::Fill([255, 0, 0, 0])];
    let presets = Preset::ALL.map(|p| (format!("{p:?}"), p.applied_to(&Style::default())));
    for (name, style) in methods.map(|m| (format!("{m:?}"), hiding(m))).into_iter().chain(presets) {
        print!("{name:20}");
        cases.iter().for_each(|c| print!("{:8.2}", time(c, persons, &style)));
        println!();
    }
}
