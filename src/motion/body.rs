//! One person: found again in later pictures by patches of the body.

use super::field::{Field, Grid, Hint, settle};
use super::luma::Pyramid;
use super::patches::{self, Found, Patch};
use super::resample::Resampling;
use crate::person::Person;

/// Pixels of a level from node to node, at least.
const SPACING: i32 = 5;
/// How far from a node the body may be for a patch to be looked for, in pixels of a level.
const NEAR: i32 = 3;
/// About so many nodes in a box, at most; larger bodies have wider grids.
const NODES: usize = 700;
/// Pixels of a level that grids reach beyond the box.
const MARGIN: i32 = 4;
/// The box's shorter side on the smallest level that is used, in pixels, at least.
const SHORT: usize = 8;
/// How far the body as a whole is searched for on the smallest level, in pixels.
const SEARCH: i32 = 5;
/// What each of them must gain, as a mean difference in gray values: where nothing speaks for a move there is none.
const STAY: f32 = 0.3;

/// Rounds that find from where in the analysed picture a pixel comes.
const ROUNDS: usize = 4;
/// A box that ends no farther from the edge of the picture than this, in pixels, is cut there.
const CUT: i64 = 2;
/// Variance of pixels that are the same, in squared gray values.
const NOISE: f32 = 10.0;

/// The share of a patch's pixels that count as independent.
const INDEPENDENT: f32 = 0.15;

/// A person of an analysed picture, and how the body has moved since.
#[derive(Clone, Debug)]
pub struct Body {
    person: Person,
    /// Largest level first.
    stages: Vec<Stage>,
    /// Pixels of the largest level on the outline of the body: leftmost and rightmost of each row, uppermost and lowest
    /// of each column.
    outline: [Vec<[f32; 2]>; 4],
    field: Field,
    /// Whether the box ends where the picture does: left, right, above, below. What comes in there continues the map.
    cut: [bool; 4],
}

/// What is looked for on one level.
#[derive(Clone, Debug)]
struct Stage {
    grid: Grid,
    patches: Vec<Patch>,
}

/// The part that a pixel of a level shows, one of whose pixels is `scale` of the map's; 0 outside of the box.
fn part(person: &Person, scale: usize, (x, y): (i32, i32)) -> u8 {
    let along = |at: i32, start: i32, length: usize| {
        let at = i64::from(at) * scale as i64 + scale as i64 / 2 - i64::from(start);
        usize::try_from(at).ok().filter(|&at| at < length)
    };
    let x = along(x, person.x, person.width());
    let y = along(y, person.y, person.height());
    x.zip(y).map_or(0, |(x, y)| person.iuv.pixel(x, y)[0])
}

/// First and last pixel of a level that the pixels from `start` on touch.
fn range(start: i32, length: usize, scale: usize) -> (i32, i32) {
    let end = i64::from(start) + length as i64 - 1;
    let on = |at: i64| at.div_euclid(scale as i64) as i32;
    (on(start.into()), on(end))
}

/// See [`Body::outline`].
fn outline(person: &Person, scale: usize) -> [Vec<[f32; 2]>; 4] {
    let (left, right) = range(person.x, person.width(), scale);
    let (top, bottom) = range(person.y, person.height(), scale);
    let place = |x: i32, y: i32| [x as f32, y as f32];
    let on = |x: i32, y: i32| part(person, scale, (x, y)) > 0;
    let mut outline: [Vec<_>; 4] = Default::default();
    for y in top..=bottom {
        outline[0].extend((left..=right).find(|&x| on(x, y)).map(|x| place(x, y)));
        outline[1].extend((left..=right).rfind(|&x| on(x, y)).map(|x| place(x, y)));
    }
    for x in left..=right {
        outline[2].extend((top..=bottom).find(|&y| on(x, y)).map(|y| place(x, y)));
        outline[3].extend((top..=bottom).rfind(|&y| on(x, y)).map(|y| place(x, y)));
    }
    outline
}

impl Stage {
    fn new(person: &Person, pyramid: &Pyramid, index: usize) -> Self {
        let scale = pyramid.scale << index;
        let (left, right) = range(person.x, person.width(), scale);
        let (top, bottom) = range(person.y, person.height(), scale);
        let (width, height) = (right - left + 1 + 2 * MARGIN, bottom - top + 1 + 2 * MARGIN);
        let spacing = ((width as f32 * height as f32 / NODES as f32).sqrt() as i32).max(SPACING);
        let count = |length: i32| (length as usize).div_ceil(spacing as usize) + 1;
        let (columns, rows) = (count(width), count(height));
        // A patch has as many pixels before its node as from there on.
        let origin = [left - MARGIN, top - MARGIN].map(|at| at as f32 - 0.5);
        let grid = Grid { origin, spacing: spacing as f32, columns, rows };
        let mut patches = Vec::new();
        for (row, column) in (0..rows as i32).flat_map(|row| (0..columns as i32).map(move |column| (row, column))) {
            let (x, y) = (left - MARGIN + column * spacing, top - MARGIN + row * spacing);
            let near = [(0, 0), (-NEAR, 0), (NEAR, 0), (0, -NEAR), (0, NEAR)];
            if near.iter().any(|(dx, dy)| part(person, scale, (x + dx, y + dy)) > 0) {
                let node = row as usize * columns + column as usize;
                patches.extend(Patch::new(&pyramid.levels[index], node, (x, y)));
            }
        }
        Self { grid, patches }
    }
}

impl Body {
    /// `person` in the picture of `pyramid`.
    pub fn new(person: Person, pyramid: &Pyramid) -> Self {
        let shorter = person.width().min(person.height()) / pyramid.scale;
        let mut levels = 1;
        while levels < pyramid.levels.len() && shorter >> levels >= SHORT {
            levels += 1;
        }
        let stages: Vec<_> = (0..levels).map(|index| Stage::new(&person, pyramid, index)).collect();
        let outline = outline(&person, pyramid.scale);
        let field = Field::still(stages[0].grid);
        let end = |start: i32, length: usize| i64::from(start) + length as i64 + CUT;
        let cut = [
            i64::from(person.x) <= CUT,
            end(person.x, person.width()) >= pyramid.size.0 as i64,
            i64::from(person.y) <= CUT,
            end(person.y, person.height()) >= pyramid.size.1 as i64,
        ];
        Self { person, stages, outline, field, cut }
    }

    /// Looks where the body is in the picture of `pyramid`, from where it was in the one before.
    pub fn follow(&mut self, pyramid: &Pyramid) {
        let last = self.stages.len() - 1;
        let start = self.field.resized(self.stages[last].grid, 1.0 / (1 << last) as f32);
        let mut field = self.searched(pyramid, last, start);
        let (mut starts, mut found) = (Vec::new(), Vec::new());
        for index in (0..=last).rev() {
            let stage = &self.stages[index];
            if index < last {
                field = field.resized(stage.grid, 2.0);
            }
            starts.clear();
            starts.extend(stage.patches.iter().map(|patch| field.by[patch.node]));
            patches::find(&pyramid.levels[index], &stage.patches, &starts, &mut found);
            let hint = |(patch, found): (&Patch, &Found)| {
                let trust = INDEPENDENT / (NOISE + found.residual);
                (patch.node, Hint { by: found.by, trust: patch.squares.map(|s| s * trust) })
            };
            let hints: Vec<_> = stage.patches.iter().zip(&found).map(hint).collect();
            field = settle(stage.grid, &hints);
        }
        self.field = field;
    }

    /// `field` moved as a whole to where the body fits best.
    fn searched(&self, pyramid: &Pyramid, index: usize, mut field: Field) -> Field {
        let (level, patches) = (&pyramid.levels[index], &self.stages[index].patches);
        let mean = field.mean();
        let mut best = (f32::INFINITY, [0.0; 2]);
        for (y, x) in (-SEARCH..=SEARCH).flat_map(|y| (-SEARCH..=SEARCH).map(move |x| (y, x))) {
            let (x, y) = (x as f32, y as f32);
            let mut misfit = 0.0;
            patches::misfit(level, patches, [mean[0] + x, mean[1] + y], &mut misfit);
            let misfit = misfit + STAY * (x.abs() + y.abs());
            if misfit < best.0 {
                best = (misfit, [x, y]);
            }
        }
        for by in &mut field.by {
            *by = [by[0] + best.1[0], by[1] + best.1[1]];
        }
        field
    }

    /// The person where the body is now, in a frame of `size` pixels, each of the largest level's `scale` of them across
    /// and down; `None` where nothing is left in the frame.
    pub fn moved(&self, size: (usize, usize), scale: usize) -> Option<Person> {
        let person = &self.person;
        let (x, width) = self.side(0, person.x, person.width(), size.0, scale)?;
        let (y, height) = self.side(1, person.y, person.height(), size.1, scale)?;
        let back = self.back((x, y), (width, height), scale);
        let moved = Resampling { from: (person.x, person.y), to: (x, y), back: &back, scale, cut: self.cut };
        let iuv = moved.apply(&person.iuv, width, height);
        Some(Person { x, y, iuv, ..person.clone() })
    }

    /// Start and length of the box across or down: its edges move as the outline of the body does.
    fn side(&self, axis: usize, start: i32, length: usize, limit: usize, scale: usize) -> Option<(i32, usize)> {
        let edge = |outline: &[[f32; 2]], best: fn(f32, f32) -> f32, none: f32| {
            let was = outline.iter().map(|place| place[axis]).fold(none, best);
            let is = outline.iter().map(|place| place[axis] + self.field.at(*place)[axis]).fold(none, best);
            if outline.is_empty() { self.field.mean()[axis] } else { is - was }
        };
        let low = edge(&self.outline[2 * axis], f32::min, f32::INFINITY) * scale as f32;
        let high = edge(&self.outline[2 * axis + 1], f32::max, f32::NEG_INFINITY) * scale as f32;
        let (first, last) = (i64::from(start), i64::from(start) + length as i64);
        let (mut start, mut end) = (first + low.round() as i64, last + high.round() as i64);
        // What the picture cut still reaches its edge.
        if self.cut[2 * axis] {
            start = start.min(first);
        }
        if self.cut[2 * axis + 1] {
            end = end.max(last);
        }
        let (start, end) = (start.max(0), end.min(limit as i64));
        (end > start).then_some((start as i32, (end - start) as usize))
    }

    /// For places in a box of the picture now, how far away in the analysed one the same place of the body was, in pixels
    /// of the largest level.
    fn back(&self, at: (i32, i32), (width, height): (usize, usize), scale: usize) -> Field {
        let spacing = self.field.grid.spacing;
        let start = |at: i32| (at as f32 + 0.5) / scale as f32 - 0.5;
        let count = |length: usize| (length as f32 / (scale as f32 * spacing)).ceil() as usize + 1;
        let grid = Grid { origin: [start(at.0), start(at.1)], spacing, columns: count(width), rows: count(height) };
        let mean = self.field.mean();
        let by = (0..grid.count()).map(|node| {
            let place = grid.place(node);
            let mut by = mean;
            for _ in 0..ROUNDS {
                by = self.field.at([place[0] - by[0], place[1] - by[1]]);
            }
            by.map(|d| -d)
        });
        Field { grid, by: by.collect() }
    }
}
