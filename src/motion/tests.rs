//! Pictures whose motion is known.

use super::*;
use crate::image::{Color, Component, Depth, Layout, Plane};
use crate::person::IuvMap;

const SIZE: (usize, usize) = (320, 240);

/// Where a point of the scene is in the analysed picture and in a later one.
type Motion = fn([f32; 2]) -> [f32; 2];

/// Gray values with detail at several scales, 0..=255.
fn texture([x, y]: [f32; 2], seed: f32) -> f32 {
    let wave = |fx: f32, fy: f32, phase: f32| (x * fx + y * fy + phase + seed).sin();
    let sum = wave(0.31, 0.12, 0.0) + wave(-0.17, 0.41, 1.0) + wave(0.07, 0.05, 2.0) + wave(0.53, -0.47, 3.0);
    (128.0 + 28.0 * sum).clamp(0.0, 255.0)
}

/// A body: where it is before, as part 1 to 24 by place, or 0; and from places later to those before.
struct Actor {
    part: fn([f32; 2]) -> u8,
    back: Motion,
}

/// The scene of still background and actors: gray values, and the part that each pixel of an actor shows.
fn scene((width, height): (usize, usize), actors: &[Actor], later: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut gray = Vec::with_capacity(width * height);
    let mut parts = vec![vec![0; width * height]; actors.len()];
    #[allow(clippy::needless_range_loop, reason = "several lists are filled at the same place")]
    for i in 0..width * height {
        let place = [(i % width) as f32 + 0.5, (i / width) as f32 + 0.5];
        let mut value = texture(place, 0.0) / 2.0;
        for (k, actor) in actors.iter().enumerate() {
            let before = if later { (actor.back)(place) } else { place };
            let part = (actor.part)(before);
            if part > 0 {
                value = texture(before, 10.0 + k as f32);
                parts[k][i] = part;
            }
        }
        gray.push(value as u8);
    }
    (gray, parts)
}

/// The people as an inference on the first picture finds them: boxes with a little room, cut to the picture.
fn persons((width, height): (usize, usize), parts: &[Vec<u8>]) -> Persons {
    let found = parts.iter().zip(0..).map(|(parts, id)| {
        let on: Vec<_> = (0..width * height).filter(|&i| parts[i] > 0).map(|i| (i % width, i / width)).collect();
        let bounds = |side: fn(&(usize, usize)) -> usize, limit: usize| {
            let low = on.iter().map(side).min().unwrap();
            let high = on.iter().map(side).max().unwrap();
            (low.saturating_sub(3), (high + 4).min(limit))
        };
        let ((x0, x1), (y0, y1)) = (bounds(|p| p.0, width), bounds(|p| p.1, height));
        let pixels = (y0..y1).flat_map(|y| (x0..x1).map(move |x| (x, y)));
        let data = pixels.flat_map(|(x, y)| [parts[y * width + x], (x % 256) as u8, (y % 256) as u8]).collect();
        let iuv = IuvMap::new(x1 - x0, y1 - y0, data).unwrap();
        Person { id, score: 0.9, x: x0 as i32, y: y0 as i32, iuv }
    });
    let persons = found.collect();
    Persons { width: width as u32, height: height as u32, age: 0, moved: false, persons }
}

fn gray_image((width, height): (usize, usize), data: &[u8]) -> Image<'_> {
    Image::new(Layout::gray(width, height), vec![Plane { data, stride: width }]).unwrap()
}

/// Share of the pixels shown by either that both show with the same part.
fn agreement((width, height): (usize, usize), person: &Person, truth: &[u8]) -> f64 {
    let (mut union, mut same) = (0, 0);
    for (i, &truth) in truth.iter().enumerate() {
        let (x, y) = ((i % width) as i32 - person.x, (i / width) as i32 - person.y);
        let inside = x >= 0 && y >= 0 && x < person.width() as i32 && y < person.height() as i32;
        let part = if inside { person.iuv.pixel(x as usize, y as usize)[0] } else { 0 };
        union += u32::from(part > 0 || truth > 0);
        same += u32::from(part > 0 && part == truth);
    }
    assert_eq!(truth.len(), width * height);
    f64::from(same) / f64::from(union.max(1))
}

/// Checks that results agree with the truth by at least `least` after the motion, and that held ones do not.
fn check(actors: &[Actor], least: f64) -> Persons {
    let (before, parts) = scene(SIZE, actors, false);
    let (after, truth) = scene(SIZE, actors, true);
    let found = persons(SIZE, &parts);
    let mut follower = Follower::default();
    follower.analysed(&gray_image(SIZE, &before), found.clone());
    let moved = follower.moved(&gray_image(SIZE, &after)).unwrap();
    assert_eq!(moved.persons.len(), actors.len());
    for (k, truth) in truth.iter().enumerate() {
        let (held, moved) = (agreement(SIZE, &found.persons[k], truth), agreement(SIZE, &moved.persons[k], truth));
        assert!(held < least - 0.03, "the test moves too little: {held}");
        assert!(moved >= least, "{moved} of actor {k} (held: {held})");
    }
    moved
}

/// Upper half part 2, lower half part 9.
fn block([x, y]: [f32; 2]) -> u8 {
    match (100.0..160.0).contains(&x) && (60.0..180.0).contains(&y) {
        true if y < 120.0 => 2,
        true => 9,
        false => 0,
    }
}

fn other_block([x, y]: [f32; 2]) -> u8 {
    if (200.0..250.0).contains(&x) && (50.0..190.0).contains(&y) { 24 } else { 0 }
}

#[test]
fn still_people_stay_as_they_are_to_the_last_pixel() {
    let actors = [Actor { part: block, back: |p| p }];
    let (picture, parts) = scene(SIZE, &actors, false);
    let found = persons(SIZE, &parts);
    let mut follower = Follower::default();
    follower.analysed(&gray_image(SIZE, &picture), found.clone());
    let moved = follower.moved(&gray_image(SIZE, &picture)).unwrap();
    assert_eq!(moved, Persons { moved: true, ..found });
}

#[test]
fn boxes_and_maps_go_where_people_go() {
    let moved = check(&[Actor { part: block, back: |[x, y]| [x - 13.0, y + 7.0] }], 0.97);
    let person = &moved.persons[0];
    let sides = [person.x, person.y, person.x + person.width() as i32, person.y + person.height() as i32];
    let off: Vec<_> = std::iter::zip(sides, [110, 50, 176, 176]).map(|(is, was)| is - was).collect();
    assert!(off.iter().all(|off| off.abs() <= 2), "{off:?}");
    // U and V come along with their parts: the test's are columns and rows before.
    let [part, u, v] = person.iuv.pixel(40, 70);
    assert!(
        part > 0 && (i32::from(u) - (person.x + 40 - 13)).abs() <= 1 && (i32::from(v) - (person.y + 70 + 7)).abs() <= 1
    );
}

#[test]
fn who_comes_near_grows() {
    let back = |[x, y]: [f32; 2]| [130.0 + (x - 130.0) / 1.15, 120.0 + (y - 120.0) / 1.15];
    let moved = check(&[Actor { part: block, back }], 0.95);
    assert!(moved.persons[0].width() > 70 && moved.persons[0].height() > 134);
}

#[test]
fn people_move_apart() {
    let left = Actor { part: block, back: |[x, y]| [x + 11.0, y - 3.0] };
    let right = Actor { part: other_block, back: |[x, y]| [x - 17.0, y] };
    check(&[left, right], 0.95);
}

#[test]
fn a_limb_turns_while_the_body_stays() {
    /// A torso and an arm that begins at its shoulder.
    fn part([x, y]: [f32; 2]) -> u8 {
        match (x, y) {
            _ if (100.0..150.0).contains(&x) && (60.0..180.0).contains(&y) => 2,
            _ if (150.0..220.0).contains(&x) && (75.0..100.0).contains(&y) => 18,
            _ => 0,
        }
    }
    /// The arm by 14 degrees around the shoulder.
    fn back([x, y]: [f32; 2]) -> [f32; 2] {
        let (sine, cosine) = (0.2419, 0.9703);
        let (dx, dy) = (x - 150.0, y - 87.0);
        let arm = [150.0 + cosine * dx + sine * dy, 87.0 - sine * dx + cosine * dy];
        if x >= 150.0 && part(arm) == 18 { arm } else { [x, y] }
    }
    // Where the arm was there is background after.
    fn back_or_away(p: [f32; 2]) -> [f32; 2] {
        let before = back(p);
        if part(before) == 18 && before == p && p[0] > 151.0 { [-1.0, -1.0] } else { before }
    }
    check(&[Actor { part, back: back_or_away }], 0.9);
}

#[test]
fn many_frames_later_a_result_is_moved_at_once() {
    let actors = [Actor { part: block, back: |[x, y]| [x - 24.0, y - 10.0] }];
    let (before, parts) = scene(SIZE, &actors, false);
    let (after, truth) = scene(SIZE, &actors, true);
    let mut follower = Follower::default();
    assert_eq!(follower.moved(&gray_image(SIZE, &after)), None, "nothing is known");
    follower.submitted(&gray_image(SIZE, &before));
    assert_eq!(follower.moved(&gray_image(SIZE, &after)), None, "nothing is known yet");
    follower.result(persons(SIZE, &parts));
    // The next inference begins before anybody was moved.
    follower.submitted(&gray_image(SIZE, &after));
    let moved = follower.moved(&gray_image(SIZE, &after)).unwrap();
    assert!(agreement(SIZE, &moved.persons[0], &truth[0]) > 0.95);
    follower.result(persons(SIZE, &truth));
    let still = follower.moved(&gray_image(SIZE, &after)).unwrap();
    assert_eq!(still.persons, persons(SIZE, &truth).persons);
    follower.restart();
    assert_eq!(follower.moved(&gray_image(SIZE, &after)), None);
}

#[test]
fn what_the_edge_of_the_picture_cut_goes_on_behind_it() {
    fn low([x, y]: [f32; 2]) -> u8 {
        if (100.0..160.0).contains(&x) && y >= 150.0 { 9 } else { 0 }
    }
    let moved = check(&[Actor { part: low, back: |[x, y]| [x, y + 14.0] }], 0.95);
    let person = &moved.persons[0];
    assert_eq!(person.y + person.height() as i32, SIZE.1 as i32);
}

#[test]
fn who_leaves_the_picture_is_gone() {
    let actors = [Actor { part: block, back: |p| p }];
    let (picture, parts) = scene(SIZE, &actors, false);
    let mut found = persons(SIZE, &parts);
    let outside = Person { x: -500, y: 10, iuv: IuvMap::new(2, 2, vec![1; 12]).unwrap(), ..found.persons[0].clone() };
    let nothing = Person { iuv: IuvMap::background(0, 0), ..outside.clone() };
    let partly = Person { id: 7, x: -20, y: 200, ..found.persons[0].clone() };
    found.persons = vec![outside, nothing, partly];
    let mut follower = Follower::default();
    follower.analysed(&gray_image(SIZE, &picture), found);
    let moved = follower.moved(&gray_image(SIZE, &picture)).unwrap();
    let [person] = moved.persons.as_slice() else { panic!("{} people", moved.persons.len()) };
    assert_eq!((person.id, person.x, person.y), (7, 0, 200));
    assert_eq!(person.y + person.height() as i32, SIZE.1 as i32);
}

#[test]
fn pictures_of_another_size_show_nobody_known() {
    let picture = vec![0; 320 * 240];
    let mut follower = Follower::default();
    follower.analysed(&gray_image(SIZE, &picture), Persons::default());
    assert_eq!(follower.moved(&gray_image((240, 320), &picture)), None);
    assert_eq!(follower.moved(&gray_image(SIZE, &picture)), Some(Persons { moved: true, ..Persons::default() }));
}

#[test]
fn no_size_is_too_small_or_odd() {
    for size in [(1, 1), (1, 300), (700, 1), (2, 3), (7, 5), (481, 271), (963, 2), (33, 1000)] {
        let pictures = [0, 1].map(|k| (0..size.0 * size.1).map(|i| (i * 37 % 251) as u8 ^ k).collect::<Vec<_>>());
        let map = |w: usize, h: usize| IuvMap::new(w, h, [5, 6, 7].repeat(w * h)).unwrap();
        let whole = Person { id: 0, score: 1.0, x: 0, y: 0, iuv: map(size.0, size.1) };
        let corner = Person { x: size.0 as i32 - 1, y: -1, iuv: map(3, 2), ..whole.clone() };
        let far = Person { x: i32::MAX, y: i32::MIN, iuv: map(3, 2), ..whole.clone() };
        let blank = Person { iuv: IuvMap::background(size.0, size.1), ..whole.clone() };
        let mut follower = Follower::default();
        let persons = vec![whole, corner, far, blank];
        follower.analysed(&gray_image(size, &pictures[0]), Persons { persons, ..Persons::default() });
        for picture in &pictures {
            let moved = follower.moved(&gray_image(size, picture)).unwrap();
            for person in &moved.persons {
                assert!(person.x >= 0 && person.x as usize + person.width() <= size.0, "{size:?}");
                assert!(person.y >= 0 && person.y as usize + person.height() <= size.1, "{size:?}");
            }
            assert_eq!((moved.persons[0].width(), moved.persons[0].height()), size);
        }
    }
}

#[test]
fn every_layout_shows_the_motion() {
    let actors = [Actor { part: block, back: |[x, y]| [x - 9.0, y + 4.0] }];
    let (before, parts) = scene(SIZE, &actors, false);
    let (after, truth) = scene(SIZE, &actors, true);
    let half = |plane| Component { plane, offset: 0, step: 1, shift_x: 1, shift_y: 1 };
    let layout = |color, components: Vec<Component>| Layout::new(SIZE.0, SIZE.1, color, components);
    let full = Component::full;
    let word = |depth, layout: Layout| Layout { depth, ..layout };
    let layouts = [
        ("planar 4:2:0", layout(Color::BT601, vec![full(0, 0, 1), half(1), half(2)])),
        ("packed 4:2:2", layout(Color::BT709, vec![full(0, 1, 2), full(0, 0, 2), full(0, 0, 2)])),
        ("packed RGB", Layout::packed_rgb(SIZE.0, SIZE.1, 3, [0, 1, 2])),
        ("packed BGRx", Layout::packed_rgb(SIZE.0, SIZE.1, 4, [2, 1, 0])),
        ("planar GBR", layout(Color::RGB, vec![full(2, 0, 1), full(0, 0, 1), full(1, 0, 1)])),
        ("gray", Layout::gray(SIZE.0, SIZE.1)),
        (
            "10 bits, low",
            word(Depth::word(10, 0).unwrap(), layout(Color::BT709, [0, 1, 2].map(|p| full(p, 0, 2)).to_vec())),
        ),
        (
            "10 bits, high",
            word(Depth::word(10, 6).unwrap(), layout(Color::BT709, [0, 1, 2].map(|p| full(p, 0, 2)).to_vec())),
        ),
    ];
    for (name, layout) in layouts {
        // Each pixel has the gray value in every byte that it owns, or in the bits of its word that count.
        let step = layout.components[0].step;
        let stride = SIZE.0 * step + 5;
        let bytes = |gray: &[u8]| {
            let mut data = vec![0; stride * SIZE.1];
            for (row, gray) in data.chunks_mut(stride).zip(gray.chunks(SIZE.0)) {
                for (sample, gray) in row.chunks_mut(step).zip(gray) {
                    match layout.depth {
                        Depth::BYTE => sample.fill(*gray),
                        words => {
                            let word = words.with_value([0; 2], u16::from(*gray) << words.extra_bits());
                            sample[..2].copy_from_slice(&word);
                        }
                    }
                }
            }
            data
        };
        let (before, after) = (bytes(&before), bytes(&after));
        let image = |data| Image::new(layout.clone(), vec![Plane { data, stride }; 3]).unwrap();
        let mut follower = Follower::default();
        follower.analysed(&image(&before), persons(SIZE, &parts));
        let moved = follower.moved(&image(&after)).unwrap();
        let agreement = agreement(SIZE, &moved.persons[0], &truth[0]);
        assert!(agreement > 0.96, "{name}: {agreement}");
    }
}
