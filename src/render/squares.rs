//! Lines of equal U and of equal V as detectron2's contour visualizer draws them: marching squares over each part,
//! every square's line by itself, from whole pixel to whole pixel.
//!
//! There, all U lines come before all V lines, parts and levels go up, and what is drawn later covers. Each pixel here
//! keeps the line that would come last. Squares at a part's border count with whatever lies beyond, which outlines it.

use super::ink::{Ink, Medium, OPAQUE};
use super::style::Style;
use crate::person::{IuvMap, PARTS, Person};

const LEVELS: usize = 10;

/// Value of level `k`, 0..=1.
fn level(k: usize) -> f64 {
    if k == LEVELS - 1 { 1.0 } else { k as f64 * (1.0 / (LEVELS - 1) as f64) }
}

#[derive(Debug)]
pub(super) struct Squares {
    inks: [Ink; LEVELS],
    levels: [f64; LEVELS],
}

/// A person's lines: for every pixel of the box, and of one column and row more, which line shows, 0 for none.
#[derive(Debug, Default)]
pub(super) struct Raster {
    width: usize,
    height: usize,
    lines: Vec<u16>,
}

/// Where a part lies, and its range of a coordinate.
#[derive(Clone, Copy)]
struct Extent {
    columns: (usize, usize),
    rows: (usize, usize),
    values: [(u8, u8); 2],
}

impl Squares {
    pub fn new(style: &Style, medium: &Medium) -> Self {
        let ink = |k: usize| medium.ink(style.palette.color((level(k) * 255.0) as u8), OPAQUE);
        Self { inks: std::array::from_fn(ink), levels: std::array::from_fn(level) }
    }

    /// Finds a person's lines.
    pub fn survey(&self, person: &Person, raster: &mut Raster) {
        let map = &person.iuv;
        let (width, height) = (map.width(), map.height());
        *raster = Raster { width: width + 1, height: height + 1, lines: std::mem::take(&mut raster.lines) };
        raster.lines.clear();
        raster.lines.resize(raster.width * raster.height, 0);
        let extents = extents(map);
        for y in 0..height.saturating_sub(1) {
            let upper = map.row(y).as_chunks::<3>().0;
            let lower = map.row(y + 1).as_chunks::<3>().0;
            for (x, (above, below)) in std::iter::zip(upper.windows(2), lower.windows(2)).enumerate() {
                // Counter-clockwise from the top left corner.
                let corners = [above[0], below[0], below[1], above[1]];
                if corners.iter().any(|c| (1..=PARTS).contains(&c[0])) {
                    self.square(&corners, (x, y), &extents, person, raster);
                }
            }
        }
    }

    fn square(
        &self,
        corners: &[[u8; 3]; 4],
        (x, y): (usize, usize),
        extents: &[Option<Extent>],
        person: &Person,
        raster: &mut Raster,
    ) {
        let (width, height) = (person.width(), person.height());
        for coordinate in 0..2 {
            // detectron2's arrays hold nothing on the background.
            let bytes = corners.map(|c| if (1..=PARTS).contains(&c[0]) { c[1 + coordinate] } else { 0 });
            let (low, high) = bytes.iter().fold((255, 0), |(l, h), &v| (v.min(l), v.max(h)));
            if low == high {
                continue;
            }
            let values = bytes.map(|v| f64::from(v) / 255.0);
            let (low, high) = (f64::from(low) / 255.0, f64::from(high) / 255.0);
            for (k, &value) in self.levels.iter().enumerate().filter(|&(_, &v)| low < v && v <= high) {
                let part = corners.iter().map(|c| c[0]).filter(|&part| {
                    let extent = extents.get(usize::from(part)).copied().flatten();
                    extent.is_some_and(|e| {
                        let (min, max) = e.values[coordinate];
                        let (min, max) = (f64::from(min) / 255.0, f64::from(max) / 255.0);
                        (e.columns.0..e.columns.1).contains(&x)
                            && (e.rows.0..e.rows.1).contains(&y)
                            && (min..=max).contains(&value)
                    })
                });
                // The highest part comes last.
                if let Some(part) = part.max() {
                    let line = ((coordinate * 32 + usize::from(part)) * LEVELS + k) as u16;
                    for (from, to) in lines(&values, value, x, y, width - 1, height - 1).into_iter().flatten() {
                        // Cut to whole pixels of the picture.
                        let pixel = |(px, py): (f64, f64)| {
                            let cut = |share: f64, side: usize, start: i32| {
                                (f64::from(start) + share * side as f64) as i64 - i64::from(start)
                            };
                            (cut(px, width, person.x), cut(py, height, person.y))
                        };
                        raster.line(pixel(from), pixel(to), line);
                    }
                }
            }
        }
    }

    /// Draws columns `start..` of row `y` of a surveyed map.
    pub fn row(&self, raster: &Raster, y: usize, start: usize, inks: &mut [Ink]) {
        let lines = &raster.lines[y * raster.width..][..raster.width];
        for (ink, &line) in inks.iter_mut().zip(&lines[start.min(lines.len())..]) {
            if line > 0 {
                *ink = self.inks[usize::from(line) % LEVELS];
            }
        }
    }
}

/// By part: where squares of it may begin, and the range of its values. Parts of one row or one column have none.
fn extents(map: &IuvMap) -> [Option<Extent>; PARTS as usize + 1] {
    let mut extents = [None; PARTS as usize + 1];
    for y in 0..map.height() {
        for (x, &[part, u, v]) in map.row(y).as_chunks::<3>().0.iter().enumerate() {
            if !(1..=PARTS).contains(&part) {
                continue;
            }
            let new = Extent { columns: (x, x), rows: (y, y), values: [(u, u), (v, v)] };
            let e = extents[usize::from(part)].get_or_insert(new);
            e.columns = (e.columns.0.min(x), e.columns.1.max(x));
            e.rows.1 = y;
            for (range, value) in e.values.iter_mut().zip([u, v]) {
                *range = (range.0.min(value), range.1.max(value));
            }
        }
    }
    extents
}

type Point = (f64, f64);

/// The lines through the square at `x`, `y`, whose corners have `values`; ends as shares of the box.
fn lines(values: &[f64; 4], level: f64, x: usize, y: usize, nw: usize, nh: usize) -> [Option<(Point, Point)>; 2] {
    let [v0, v1, v2, v3] = *values;
    let (left, top) = (x as f64 / nw as f64, y as f64 / nh as f64);
    let (width, height) = (1.0 / nw as f64, 1.0 / nh as f64);
    let along = |a: f64, b: f64| (level - a) / (b - a);
    let west = || (left, top + along(v0, v1) * height);
    let south = || (left + along(v1, v2) * width, top + height);
    let east = || (left + width, top + along(v3, v2) * height);
    let north = || (left + along(v0, v3) * width, top);
    let code = values.iter().enumerate().fold(0, |code, (k, &v)| code | usize::from(v >= level) << k);
    match code {
        1 | 14 => [Some((west(), north())), None],
        2 | 13 => [Some((west(), south())), None],
        3 | 12 => [Some((north(), south())), None],
        4 | 11 => [Some((south(), east())), None],
        6 | 9 => [Some((west(), east())), None],
        7 | 8 => [Some((north(), east())), None],
        5 => [Some((west(), south())), Some((north(), east()))],
        10 => [Some((north(), west())), Some((south(), east()))],
        _ => [None; 2],
    }
}

impl Raster {
    /// OpenCV's line of thickness 1: from the left end to the right one, to all eight neighbours.
    fn line(&mut self, from: (i64, i64), to: (i64, i64), line: u16) {
        let ((x, y), (to_x, to_y)) = if to.0 < from.0 { (to, from) } else { (from, to) };
        let (dx, dy) = (to_x - x, (to_y - y).abs());
        let down = (to_y - y).signum();
        let steep = dy > dx;
        let (long, short) = if steep { (dy, dx) } else { (dx, dy) };
        let (mut x, mut y, mut error) = (x, y, long - 2 * short);
        for _ in 0..=long {
            if let (Ok(column), Ok(row)) = (usize::try_from(x), usize::try_from(y))
                && column < self.width
                && row < self.height
            {
                let pixel = &mut self.lines[row * self.width + column];
                *pixel = line.max(*pixel);
            }
            let aside = error < 0;
            error += if aside { 2 * long } else { 0 } - 2 * short;
            if steep || aside {
                y += down;
            }
            if !steep || aside {
                x += 1;
            }
        }
    }
}
