//! One person: found again in later pictures by patches of the body.

use super::field::{Field, Grid, Hint, Stiffness, settle};
use super::luma::Pyramid;
use super::patches::{self, Found, Patch};
use crate::person::{IuvMap, Person};

/// Pixels of a level from node to node, at least.
const SPACING: usize = 4;
/// About so many nodes in a box, at most; larger bodies have wider grids.
const NODES: usize = 700;
/// Pixels of a level that grids reach beyond the box.
const MARGIN: i32 = 4;
/// The box's shorter side on the smallest level that is used, in pixels, at least.
const SHORT: usize = 10;
/// How far the body as a whole is searched for on the smallest level, in pixels.
const SEARCH: i32 = 3;
/// Rounds that find from where in the analysed picture a pixel comes.
const ROUNDS: usize = 4;
/// Variance of pixels that are the same, in squared gray values.
const NOISE: f32 = 25.0;
/// The share of a patch's pixels that count as independent.
const INDEPENDENT: f32 = 0.1;
const STIFFNESS: Stiffness = Stiffness { within: 4.0, between: 1.0, affine: 0.02 };

/// The limb that a part belongs to; 0 for background.
const LIMBS: [u8; 25] = [0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14];

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
    /// The same for the picture before.
    before: Option<Field>,
}

/// What is looked for on one level.
#[derive(Clone, Debug)]
struct Stage {
    grid: Grid,
    patches: Vec<Patch>,
    limbs: Vec<u8>,
}

/// Which pixels of a level show the body.
struct Cover {
    /// Column and row of the first pixel.
    at: (i32, i32),
    width: usize,
    height: usize,
    shares: Vec<f32>,
}

impl Cover {
    /// Of the largest level, one of whose pixels is `scale` of the map's across and down; begins and ends where pixels
    /// of a level that is smaller by `1 << levels` do.
    fn new(person: &Person, scale: usize, levels: usize) -> Self {
        let grain = 1 << levels;
        let range = |start: i32, length: usize| {
            let end = (i64::from(start) + length as i64).div_euclid(scale as i64) + 1;
            let start = i64::from(start).div_euclid(scale as i64).div_euclid(grain) * grain;
            (start as i32, ((end - start) as usize).next_multiple_of(grain as usize))
        };
        let ((x, width), (y, height)) = (range(person.x, person.width()), range(person.y, person.height()));
        let mut cover = Self { at: (x, y), width, height, shares: vec![0.0; width * height] };
        for (row, shares) in cover.shares.chunks_exact_mut(width).enumerate() {
            for (column, share) in shares.iter_mut().enumerate() {
                *share = f32::from(part(person, scale, (x + column as i32, y + row as i32)) > 0);
            }
        }
        cover
    }

    fn share(&self, x: i32, y: i32) -> f32 {
        let (x, y) = (x - self.at.0, y - self.at.1);
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return 0.0;
        }
        self.shares[y as usize * self.width + x as usize]
    }

    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut shares = Vec::with_capacity(width * height);
        for y in 0..height {
            let (a, b) = self.shares[2 * y * self.width..][..2 * self.width].split_at(self.width);
            let pairs = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0);
            shares.extend(pairs.map(|(a, b)| (a[0] + a[1] + b[0] + b[1]) / 4.0));
        }
        Self { at: (self.at.0 / 2, self.at.1 / 2), width, height, shares }
    }

    /// See [`Body::outline`].
    fn outline(&self) -> [Vec<[f32; 2]>; 4] {
        let place = |x: usize, y: usize| [self.at.0 as f32 + x as f32, self.at.1 as f32 + y as f32];
        let mut outline: [Vec<_>; 4] = Default::default();
        let on = |x: usize, y: usize| self.shares[y * self.width + x] > 0.0;
        for y in 0..self.height {
            outline[0].extend((0..self.width).find(|&x| on(x, y)).map(|x| place(x, y)));
            outline[1].extend((0..self.width).rfind(|&x| on(x, y)).map(|x| place(x, y)));
        }
        for x in 0..self.width {
            outline[2].extend((0..self.height).find(|&y| on(x, y)).map(|y| place(x, y)));
            outline[3].extend((0..self.height).rfind(|&y| on(x, y)).map(|y| place(x, y)));
        }
        outline
    }
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

impl Stage {
    fn new(person: &Person, pyramid: &Pyramid, index: usize, cover: &Cover) -> Self {
        let scale = pyramid.scale << index;
        let range = |start: i32, length: usize| {
            let end = (i64::from(start) + length as i64).div_euclid(scale as i64) as i32 + 1 + MARGIN;
            (i64::from(start).div_euclid(scale as i64) as i32 - MARGIN, end)
        };
        let (x, y) = (range(person.x, person.width()), range(person.y, person.height()));
        let area = (x.1 - x.0) as f32 * (y.1 - y.0) as f32;
        let spacing = ((area / NODES as f32).sqrt() as usize).max(SPACING);
        let count = |(start, end): (i32, i32)| ((end - start) as usize).div_ceil(spacing) + 1;
        let (columns, rows) = (count(x), count(y));
        // A patch has as many pixels before its node as from there on.
        let origin = [x.0 as f32 - 0.5, y.0 as f32 - 0.5];
        let grid = Grid { origin, spacing: spacing as f32, columns, rows };
        let level = &pyramid.levels[index];
        let mut stage = Self { grid, patches: Vec::new(), limbs: Vec::with_capacity(grid.count()) };
        for node in 0..grid.count() {
            let at = (x.0 + (node % columns * spacing) as i32, y.0 + (node / columns * spacing) as i32);
            let limb = LIMBS.get(usize::from(part(person, scale, at))).copied().unwrap_or(0);
            stage.limbs.push(limb);
            let near = |d: i32| cover.share(at.0 + d, at.1) + cover.share(at.0, at.1 + d);
            if cover.share(at.0, at.1) + near(-3) + near(3) > 0.0 {
                stage.patches.extend(Patch::new(level, node, at, |x, y| cover.share(x, y)));
            }
        }
        stage
    }
}

impl Body {
    /// `person` in the picture of `pyramid`.
    pub fn new(person: &Person, pyramid: &Pyramid) -> Self {
        let shorter = person.width().min(person.height()) / pyramid.scale;
        let mut levels = 1;
        while levels < pyramid.levels.len() && shorter >> levels >= SHORT {
            levels += 1;
        }
        let mut cover = Cover::new(person, pyramid.scale, levels - 1);
        let outline = cover.outline();
        let mut stages = Vec::with_capacity(levels);
        for index in 0..levels {
            if index > 0 {
                cover = cover.halved();
            }
            stages.push(Stage::new(person, pyramid, index, &cover));
        }
        let field = Field::still(stages[0].grid);
        Self { person: person.clone(), stages, outline, field, before: None }
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
            field = settle(stage.grid, &hints, &stage.limbs, &STIFFNESS);
        }
        self.before = Some(std::mem::replace(&mut self.field, field));
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
            // Where nothing speaks for a move there is none.
            let misfit = misfit + 0.3 * (x.abs() + y.abs());
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
        let iuv = resampled(&person.iuv, (person.x, person.y), &back, (x, y), (width, height), scale);
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
        let end = i64::from(start) + length as i64 + high.round() as i64;
        let start = (i64::from(start) + low.round() as i64).max(0);
        let end = end.min(limit as i64);
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

/// The map at new places: the nearest pixel of where `back` says that each was.
fn resampled(
    iuv: &IuvMap,
    from: (i32, i32),
    back: &Field,
    to: (i32, i32),
    (width, height): (usize, usize),
    scale: usize,
) -> IuvMap {
    let mut data = vec![0; width * height * 3];
    let cell = back.grid.spacing * scale as f32;
    let columns = back.grid.columns;
    let offset = [(to.0 - from.0) as f32 + 0.5, (to.1 - from.1) as f32 + 0.5];
    let (limit_x, limit_y) = (iuv.width() as f32, iuv.height() as f32);
    let source = iuv.data();
    let mut line = vec![[0.0f32; 2]; columns];
    for (y, out) in data.chunks_exact_mut((width * 3).max(1)).enumerate() {
        let at = y as f32 / cell;
        let row = (at as usize).min(back.grid.rows.saturating_sub(2));
        let share = at - row as f32;
        let above = &back.by[row * columns..][..columns];
        let below = &back.by[(row + 1).min(back.grid.rows - 1) * columns..][..columns];
        for (line, (a, b)) in line.iter_mut().zip(above.iter().zip(below)) {
            *line = [0, 1].map(|k| (a[k] + (b[k] - a[k]) * share) * scale as f32);
        }
        for (x, out) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let at = x as f32 / cell;
            let column = (at as usize).min(columns.saturating_sub(2));
            let share = at - column as f32;
            let (a, b) = (line[column], line[(column + 1).min(columns - 1)]);
            let u = x as f32 + offset[0] + a[0] + (b[0] - a[0]) * share;
            let v = y as f32 + offset[1] + a[1] + (b[1] - a[1]) * share;
            if u >= 0.0 && v >= 0.0 && u < limit_x && v < limit_y {
                let at = (v as usize * iuv.width() + u as usize) * 3;
                out.copy_from_slice(&source[at..at + 3]);
            }
        }
    }
    IuvMap::new(width, height, data).unwrap_or_else(|_| IuvMap::background(0, 0))
}
