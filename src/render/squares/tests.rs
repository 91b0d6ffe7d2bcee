use super::*;
use crate::image::Layout;
use crate::person::{IuvMap, PARTS};
use crate::render::{Canvas, Manner, StyleKind};

fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Patches of parts, some of which are none, on which U and V rise, fall and jump.
fn person(x: i32, y: i32, width: usize, height: usize) -> Person {
    let mut number = numbers((width * 1000 + height) as u64);
    let patches: Vec<[u8; 3]> = (0..9).map(|_| [27, 256, 256].map(|below| number(below) as u8)).collect();
    let pixel = |i: usize| {
        let (column, row) = (i % width, i / width);
        let [part, u, v] = patches[(column / 9 + 2 * (row / 7)) % patches.len()];
        let (u, v) = (usize::from(u) + 5 * column + row, 3 * usize::from(v) + 7 * row);
        [part, (u % 256) as u8, (v.abs_diff(256) % 256) as u8]
    };
    let data = (0..width * height).flat_map(pixel).collect();
    Person { id: 0, score: 0.9, x, y, iuv: IuvMap::new(width, height, data).unwrap() }
}

/// By the definition: each part by itself, each level, each square, and the lines between its sides.
fn defined(person: &Person, parts: Parts) -> Raster {
    let map = &person.iuv;
    let (width, height) = (map.width(), map.height());
    let pixel = |x: usize, y: usize| if parts.contains(map.pixel(x, y)[0]) { map.pixel(x, y) } else { [0; 3] };
    let all = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let mut grids = [Grid::default(), Grid::default()];
    grids[0].fill(person.x, width);
    grids[1].fill(person.y, height);
    let mut raster = Raster::default();
    raster.reset(width + 1, height + 1);
    for (coordinate, part) in (0..2).flat_map(|coordinate| (1..=PARTS).map(move |part| (coordinate, part))) {
        let own: Vec<_> = all().filter(|&(x, y)| pixel(x, y)[0] == part).collect();
        let bounds =
            |values: &mut dyn Iterator<Item = usize>| values.fold((usize::MAX, 0), |(a, b), v| (a.min(v), b.max(v)));
        let (left, right) = bounds(&mut own.iter().map(|at| at.0));
        let (top, bottom) = bounds(&mut own.iter().map(|at| at.1));
        let (min, max) = bounds(&mut own.iter().map(|&(x, y)| pixel(x, y)[1 + coordinate].into()));
        for k in
            (0..LEVELS).filter(|&k| !own.is_empty() && value(min as u8) <= level(k) && level(k) <= value(max as u8))
        {
            for (x, y) in all().filter(|&(x, y)| (left..right).contains(&x) && (top..bottom).contains(&y)) {
                let corners = [pixel(x, y), pixel(x, y + 1), pixel(x + 1, y + 1), pixel(x + 1, y)];
                if corners.iter().any(|corner| corner[0] == part) {
                    let corners = corners.map(|corner| value(corner[1 + coordinate]));
                    let corners = corners.map(|value| (value, value >= level(k)));
                    uneven::draw(&mut raster, &grids, [x, y], corners, level(k), last(coordinate, part, 1 << k));
                }
            }
        }
    }
    raster
}

#[test]
fn sides_drawn_by_themselves_make_the_lines_between_them() {
    let style =
        Style { style: StyleKind::Contour, canvas: Canvas::Gray, manner: Manner::Detectron2, ..Style::default() };
    let mut lines = Lines::default();
    for (x, y, width, height) in [
        (0, 0, 90, 67),
        (-31, 5, 66, 40),
        (7, -90, 64, 65),
        (-9, -9, 65, 30),
        (300, 200, 129, 9),
        (i32::MAX, i32::MIN, 40, 30),
        (3, 3, 2, 2),
        (-1, -1, 3, 4),
        (5, 5, 1, 9),
        (5, 5, 9, 1),
    ] {
        for parts in [Parts::ALL, "1-9,13,20-24".parse().unwrap()] {
            let person = person(x, y, width, height);
            let squares = Squares::new(&Style { parts, ..style }, &Medium::of(&Layout::packed_rgb(1, 1, 3, [0, 1, 2])));
            squares.survey(&person, &mut lines);
            let expected = if width.min(height) > 1 { defined(&person, parts) } else { Raster::default() };
            for row in 0..=height {
                let nothing = vec![0; width + 1];
                let expected = if width.min(height) > 1 { expected.row(row) } else { &nothing };
                assert_eq!(lines.raster.row(row), expected, "{width}x{height} at {x}, {y}: row {row}");
            }
        }
    }
}

#[test]
fn ends_of_lines_are_those_of_the_formula_to_the_last_bit() {
    let mut number = numbers(1);
    for (start, side) in [(0, 40), (100, 41), (-20, 64), (-500, 101), (1000, 721), (i32::MAX, 30)] {
        let mut grid = Grid::default();
        grid.fill(start, side);
        for square in (0..side - 1).filter(|&square| grid.is_plain(square)) {
            for _ in 0..200 {
                let (a, b) = (number(256) as u8, number(256) as u8);
                let reached = |byte: u8| (0..LEVELS).filter(|&k| value(byte) >= level(k)).count() as u8;
                let ends = grid.crossings(square, (a, reached(a)), (b, reached(b)));
                for k in 0..LEVELS {
                    let crosses = (value(a) >= level(k)) != (value(b) >= level(k));
                    let share = (level(k) - value(a)) / (value(b) - value(a));
                    let expected = crosses.then(|| grid.pixel(square, share) as usize);
                    let got = std::iter::zip(ends, grid.ends(square)).find(|(levels, _)| levels >> k & 1 == 1);
                    assert_eq!(got.map(|(_, pixel)| pixel), expected, "{start} {side}: {square} from {a} to {b}");
                    assert_eq!(ends[0] & ends[1], 0);
                }
            }
        }
    }
}
