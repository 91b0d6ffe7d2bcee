//! Presets against the conventions of the tools that they are for, pixel for pixel.

use super::tests::{Picture, layouts};
use super::*;
use crate::image::Layout;
use crate::person::IuvMap;

/// Colours of parts 0 to 24 as the tools' users know them.
const VIRIDIS: &str = "440154 471063 481F70 472C7A 443983 404688 3B518B 365D8D 31688E 2C718E 287C8E 25858E 21908D \
    1F9A8A 20A386 27AD81 35B779 46C06F 5CC863 73D056 8ED645 AADC32 C5E021 E2E418 FDE725";
const PARULA: &str = "352A87 253CA3 1450C2 0461DF 086EDD 0E7AD8 1484D4 0F90D0 0B9CCB 06A6C6 16ADB9 26B3AC 37B99F \
    56BB90 72BD82 91BF74 AABD69 C0BC60 D8BA56 E4C04A F0C73C FCCE2E FBDC24 FAEB19 F9FB0E";

const WIDTH: usize = 40;
const HEIGHT: usize = 23;

fn color(list: &str, part: u8) -> [u8; 3] {
    let hex = list.split_whitespace().nth(usize::from(part)).unwrap();
    [0, 2, 4].map(|k| u8::from_str_radix(&hex[k..k + 2], 16).unwrap())
}

/// Two people who overlap, one of a low score, and one without any; the order is that of detectors, best first.
fn people() -> Vec<Person> {
    let person = |id: u32, score: f32, x: i32, y: i32| {
        let pixel = |i: usize| {
            let part = (i / 7 + id as usize) % 27;
            [if part > 24 { 0 } else { part as u8 }, (i * 5 % 256) as u8, (255 - i * 3 % 256) as u8]
        };
        let data = (0..20 * 12).flat_map(pixel).collect();
        Person { id, score, x, y, iuv: IuvMap::new(20, 12, data).unwrap() }
    };
    vec![
        person(0, 0.99, 2, 3),
        person(1, 0.81, 12, 7),
        person(2, 0.8, 18, 1),
        person(3, 0.65, 1, 9),
        person(4, 0.3, 20, 8),
    ]
}

/// The maps' pixels at a position, of those who score above `min`, in the order of the slice.
fn pixels(persons: &[Person], min: f32, x: usize, y: usize) -> Vec<[u8; 3]> {
    let pixel = |p: &Person| {
        let (x, y) = (x as i32 - p.x, y as i32 - p.y);
        let inside = (0..p.width() as i32).contains(&x) && (0..p.height() as i32).contains(&y);
        Some(p.iuv.pixel(usize::try_from(x).ok()?, usize::try_from(y).ok()?)).filter(|_| inside)
    };
    let seen = |p: &&Person| {
        let (x, y) = (x as i32 - p.x, y as i32 - p.y);
        p.score > min && (0..p.width() as i32).contains(&x) && (0..p.height() as i32).contains(&y)
    };
    persons.iter().filter(seen).filter_map(pixel).filter(|p| p[0] > 0).collect()
}

/// What a preset makes of the people, on every layout of whole RGB, against what each pixel has to be, which is told
/// its position and the picture's colour there before.
fn check(preset: Preset, persons: &[Person], expected: impl Fn(usize, usize, [u8; 3]) -> [u8; 3]) {
    // Single properties do not count.
    let other = Style { style: StyleKind::V, opacity: 0.1, boxes: true, min_score: Some(2.0), ..Style::default() };
    let style = preset.applied_to(&other);
    for (name, layout) in layouts(WIDTH, HEIGHT).into_iter().filter(|(_, l)| l.color.model == ColorModel::Rgb) {
        for full_range in [true, false] {
            if !full_range && !style.style.is_raw() {
                continue;
            }
            let mut layout = layout.clone();
            layout.color.full_range = full_range;
            let before = Picture::new(layout);
            let mut after = before.clone();
            after.draw(persons, &style);
            for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))) {
                let at = |p: &Picture| [0, 1, 2].map(|c| p.sample(c, x, y));
                assert_eq!(at(&after), expected(x, y, at(&before)), "{preset:?} on {name} at {x}, {y}");
            }
            assert_eq!(before.others(), after.others(), "{preset:?} on {name}: padding or alpha changed");
        }
    }
}

/// `cv2.cvtColor(…, COLOR_BGR2GRAY)`.
fn gray([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 9798 + u32::from(g) * 19235 + u32::from(b) * 3735 + (1 << 14)) >> 15) as u8
}

/// The last one's, or what lies behind.
fn topmost(pixels: &[[u8; 3]], behind: [u8; 3], color: impl Fn([u8; 3]) -> [u8; 3]) -> [u8; 3] {
    pixels.last().map_or(behind, |&p| color(p))
}

#[test]
fn magic_animate_is_viridis_on_its_background_colour() {
    let persons = people();
    check(Preset::MagicAnimate, &persons, |x, y, _| {
        topmost(&pixels(&persons, 0.0, x, y), [0x44, 0x01, 0x54], |p| color(VIRIDIS, p[0]))
    });
}

#[test]
fn vitonhd_is_parula_on_black() {
    let persons = people();
    check(Preset::VitonHd, &persons, |x, y, _| topmost(&pixels(&persons, 0.0, x, y), [0; 3], |p| color(PARULA, p[0])));
}

#[test]
fn catvton_is_the_index_as_a_gray_value() {
    let persons = people();
    check(Preset::CatVton, &persons, |x, y, _| topmost(&pixels(&persons, 0.0, x, y), [0; 3], |p| [p[0]; 3]));
    for full_range in [true, false] {
        let mut layout = Layout::gray(WIDTH, HEIGHT);
        layout.color.full_range = full_range;
        let mut picture = Picture::new(layout);
        picture.draw(&persons, &Preset::CatVton.applied_to(&Style::default()));
        for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))) {
            let expected = pixels(&persons, 0.0, x, y).last().map_or(0, |p| p[0]);
            assert_eq!(picture.sample(0, x, y), expected, "at {x}, {y}");
        }
    }
}

#[test]
fn legacy_iuv_is_bgr_of_the_lowest_score_above_the_threshold() {
    let legacy = |persons: &[Person]| {
        check(Preset::LegacyIuv, persons, |x, y, _| {
            // From the lowest score up; who is there first stays.
            let mut rising: Vec<Person> = persons.to_vec();
            rising.sort_by(|a, b| a.score.total_cmp(&b.score));
            pixels(&rising, 0.65, x, y).first().map_or([0; 3], |&[i, u, v]| [v, u, i])
        });
    };
    let mut persons = people();
    legacy(&persons);
    persons.reverse();
    legacy(&persons);
}

#[test]
fn detectron2_mixes_one_person_after_the_other_over_the_gray_picture() {
    let persons = people();
    type Colored = fn([u8; 3]) -> [u8; 3];
    let presets: [(Preset, Colored); 3] = [
        (Preset::Detectron2Segm, |p| color(PARULA, p[0])),
        (Preset::Detectron2U, |p| Palette::Parula.color(p[1])),
        (Preset::Detectron2V, |p| Palette::Parula.color(p[2])),
    ];
    for (preset, color) in presets {
        check(preset, &persons, |x, y, rgb| {
            let behind = [gray(rgb); 3];
            pixels(&persons, 0.8, x, y).into_iter().fold(behind, |below, p| {
                let color = color(p);
                // numpy: float64, and then to uint8.
                [0, 1, 2].map(|k| (f64::from(below[k]) * (1.0 - 0.7) + f64::from(color[k]) * 0.7) as u8)
            })
        });
    }
    // On YUV, without the cut fractions.
    for (name, layout) in layouts(WIDTH, HEIGHT) {
        if let ColorModel::Yuv { .. } = layout.color.model {
            let before = Picture::new(layout.clone());
            let mut after = before.clone();
            after.draw(&persons, &Preset::Detectron2Segm.applied_to(&Style::default()));
            for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))) {
                let behind = f64::from(before.sample(0, x, y));
                let luma = pixels(&persons, 0.8, x, y).into_iter().fold(behind, |below, p| {
                    below * 0.3 + f64::from(layout.color.from_rgb(color(PARULA, p[0]))[0]) * 0.7
                });
                assert!((f64::from(after.sample(0, x, y)) - luma).abs() < 1.6, "{name} at {x}, {y}");
            }
        }
    }
}

#[test]
fn detectron2_boxes_have_both_corners_and_scores_of_four_digits() {
    let persons = [people()[0].clone(), Person { score: 0.8, ..people()[1].clone() }];
    let text: Vec<(usize, usize)> = "0.9900"
        .bytes()
        .enumerate()
        .flat_map(|(k, c)| {
            let rows = font::glyph(c).into_iter().enumerate();
            rows.flat_map(move |(row, bits)| {
                let columns = (0..font::WIDTH).filter(move |c| bits >> (font::WIDTH - 1 - c) & 1 == 1);
                columns.map(move |column| (2 + k * (font::WIDTH + 1) + column, row))
            })
        })
        .map(|(x, row)| (x, row.wrapping_sub(3)))
        .collect();
    check(Preset::Detectron2Bbox, &persons, |x, y, rgb| {
        // The box of 20 by 12 at 2, 3 from corner to corner; text ends on its first row, and is cut off at the top.
        let (left, right, top, bottom) = (2, 22, 3, 15);
        let inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
        if text.contains(&(x, y)) {
            [218, 227, 218]
        } else if inside && (x == left || x == right || y == top || y == bottom) {
            [15, 127, 18]
        } else {
            [gray(rgb); 3]
        }
    });
}

/// A map in which a figure of three parts has smooth coordinates.
fn figure() -> Person {
    let (width, height) = (26, 18);
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let (a, b) = (2 * x as i32 - 25, 3 * y as i32 - 25);
        let part = if a * a + b * b > 640 {
            0
        } else if x > 14 {
            2
        } else if y > 9 {
            21
        } else {
            7
        };
        let chart = [(x * 13 + y * 4) % 256, (300 - y * 15) % 256];
        if part == 0 { [0, 99, 99] } else { [part, chart[0] as u8, chart[1] as u8] }
    };
    let data = (0..width * height).flat_map(pixel).collect();
    Person { id: 0, score: 0.9, x: 3, y: 2, iuv: IuvMap::new(width, height, data).unwrap() }
}

#[test]
fn detectron2_contours_are_its_marching_squares() {
    // Levels drawn by detectron2's DensePoseResultsCustomContourVisualizer on the figure; its box is 26 by 18.
    const EXPECTED: [&str; 19] = [
        ".......33441.6.............",
        ".....221111111111117.......",
        "...77777777777777777777....",
        "..7999999999999999999997...",
        ".782.3.4..5.6.7.8.86.1.87..",
        "77888888888888888888888877.",
        "7.2.3..4.5.6.7..886.1..2.7.",
        "677777777777777777777777763",
        "622.3.4.5..6.7.8.86.1.2.3.6",
        "666666666666666666666666666",
        ".2.3.4..5.6.7...85.1.2..353",
        ".5555555555555555555555554.",
        ".343.4.5.6..7.885.1..2.43..",
        ".344444444444444444444443..",
        "..233.5..6.7.8.85.1.2322...",
        "....333333333333333332.....",
        ".....3446.7..8.8.2222......",
        "...........................",
        "...........................",
    ];
    let levels = [0u8, 28, 56, 85, 113, 141, 170, 198, 226, 255].map(|v| Palette::Parula.color(v));
    check(Preset::Detectron2Contour, &[figure()], |x, y, rgb| {
        let row = y.checked_sub(2).and_then(|row| EXPECTED.get(row));
        let level = row.zip(x.checked_sub(3)).and_then(|(row, column)| row.as_bytes().get(column));
        level.and_then(|l| char::from(*l).to_digit(10)).map_or([gray(rgb); 3], |l| levels[l as usize])
    });
    check(Preset::Detectron2Contour, &[Person { score: 0.8, ..figure() }], |_, _, rgb| [gray(rgb); 3]);
}

#[test]
fn presets_keep_the_choice_of_parts_and_nothing_else() {
    let parts: Parts = "2,3".parse().unwrap();
    let hiding = Some(Hiding { method: Method::Blur, size: 0.3, margin: 0.1 });
    for preset in Preset::ALL {
        let other = Style { labels: true, canvas: Canvas::Palette, hiding, ..Style::default() };
        assert_eq!(preset.applied_to(&other), preset.applied_to(&Style::default()));
        assert_eq!(preset.applied_to(&Style { parts, ..other }).parts, parts);
    }
}
