//! Displacements on a grid of nodes: what patches say, made whole and smooth.

/// Nodes in rows, at the same distance from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Place of the first node, in pixels.
    pub origin: [f32; 2],
    /// Pixels from node to node.
    pub spacing: f32,
    pub columns: usize,
    pub rows: usize,
}

impl Grid {
    pub fn count(&self) -> usize {
        self.columns * self.rows
    }

    /// Where a node lies.
    pub fn place(&self, node: usize) -> [f32; 2] {
        let (column, row) = (node % self.columns, node / self.columns);
        [self.origin[0] + column as f32 * self.spacing, self.origin[1] + row as f32 * self.spacing]
    }

    /// The node left of and above a place, and how far the place is from there on, in nodes; within the grid.
    fn cell(&self, [x, y]: [f32; 2]) -> (usize, [f32; 2]) {
        let along = |at: f32, origin: f32, count: usize| {
            let at = ((at - origin) / self.spacing).clamp(0.0, (count - 1) as f32);
            let node = (at as usize).min(count.saturating_sub(2));
            (node, at - node as f32)
        };
        let (column, fx) = along(x, self.origin[0], self.columns);
        let (row, fy) = along(y, self.origin[1], self.rows);
        (row * self.columns + column, [fx, fy])
    }
}

/// Displacement of each node, in pixels.
#[derive(Clone, Debug)]
pub struct Field {
    pub grid: Grid,
    pub by: Vec<[f32; 2]>,
}

impl Field {
    pub fn still(grid: Grid) -> Self {
        Self { grid, by: vec![[0.0; 2]; grid.count()] }
    }

    /// Displacement at a place; outside of the grid that of its rim.
    pub fn at(&self, place: [f32; 2]) -> [f32; 2] {
        let (node, [fx, fy]) = self.grid.cell(place);
        let right = usize::from(self.grid.columns > 1);
        let below = if self.grid.rows > 1 { self.grid.columns } else { 0 };
        let [a, b, c, d] = [node, node + right, node + below, node + right + below].map(|n| self.by[n]);
        let mix = |k: usize| {
            let (above, below) = (a[k] + (b[k] - a[k]) * fx, c[k] + (d[k] - c[k]) * fx);
            above + (below - above) * fy
        };
        [mix(0), mix(1)]
    }

    /// The same displacements for a picture `scale` times as large, at other nodes.
    pub fn resized(&self, grid: Grid, scale: f32) -> Self {
        let by = (0..grid.count()).map(|node| {
            let [x, y] = grid.place(node);
            self.at([x / scale, y / scale]).map(|d| d * scale)
        });
        Self { grid, by: by.collect() }
    }

    pub fn mean(&self) -> [f32; 2] {
        let count = self.by.len().max(1) as f32;
        [0, 1].map(|k| self.by.iter().map(|by| by[k]).sum::<f32>() / count)
    }
}

/// What is known of a node: that it moved by `by`, with the inverse covariance `trust` (across, mixed, down; in pixels to
/// the power of -2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    pub by: [f32; 2],
    pub trust: [f32; 3],
}

/// Inverse variance, in pixels to the power of -2, of the difference of two neighbours beyond what an affine
/// motion of the whole says.
const STIFF: f32 = 1.0;
/// Inverse variance of what a node has beyond the affine motion, so that there is none where nothing is known.
const LOOSE: f32 = 0.02;
/// Differences of so many standard deviations count half in each fit.
const ROBUST: f32 = 2.0;
const FITS: usize = 4;
const SWEEPS: usize = 8;

/// The affine motion that most hints agree on: displacement at `centre`, and its change per pixel across and down.
#[derive(Clone, Copy, Debug, Default)]
struct Affine {
    centre: [f32; 2],
    unit: f32,
    /// Across: constant, per unit across, per unit down; then the same for down.
    terms: [f32; 6],
}

/// Inverse variance of the terms of the affine motion other than the displacement, per unit of the body's size, in pixels.
const RIDGE: f32 = 0.05;

impl Affine {
    fn at(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = ((x - self.centre[0]) / self.unit, (y - self.centre[1]) / self.unit);
        let t = &self.terms;
        [t[0] + t[1] * x + t[2] * y, t[3] + t[4] * x + t[5] * y]
    }

    fn fit(grid: &Grid, hints: &[(usize, Hint)]) -> Self {
        let count = hints.len().max(1) as f32;
        let mut centre = [0.0; 2];
        for (node, _) in hints {
            let place = grid.place(*node);
            (0..2).for_each(|k| centre[k] += place[k] / count);
        }
        let spread = |node: usize| {
            let [x, y] = grid.place(node);
            (x - centre[0]).powi(2) + (y - centre[1]).powi(2)
        };
        let unit = (hints.iter().map(|(node, _)| spread(*node)).sum::<f32>() / count).sqrt().max(1.0);
        let mut affine = Self { centre, unit, terms: [0.0; 6] };
        for pass in 0..FITS {
            let (mut matrix, mut right) = ([[0.0f64; 6]; 6], [0.0f64; 6]);
            for (node, hint) in hints {
                let place = grid.place(*node);
                let share = if pass == 0 { 1.0 } else { credit(hint, affine.at(place)) };
                let [xx, xy, yy] = hint.trust.map(|t| t * share);
                let basis = [1.0, (place[0] - centre[0]) / unit, (place[1] - centre[1]) / unit];
                let pull = [xx * hint.by[0] + xy * hint.by[1], xy * hint.by[0] + yy * hint.by[1]];
                for i in 0..3 {
                    for j in 0..3 {
                        let product = basis[i] * basis[j];
                        matrix[i][j] += f64::from(xx * product);
                        matrix[i][j + 3] += f64::from(xy * product);
                        matrix[i + 3][j] += f64::from(xy * product);
                        matrix[i + 3][j + 3] += f64::from(yy * product);
                    }
                    right[i] += f64::from(pull[0] * basis[i]);
                    right[i + 3] += f64::from(pull[1] * basis[i]);
                }
            }
            for (i, row) in matrix.iter_mut().enumerate() {
                row[i] += if i % 3 == 0 { 1e-6 } else { f64::from(RIDGE) };
            }
            affine.terms = solve(matrix, right).map(|t| t as f32);
        }
        affine
    }
}

/// Solves a symmetric positive definite system by elimination.
fn solve(mut matrix: [[f64; 6]; 6], mut right: [f64; 6]) -> [f64; 6] {
    for i in 0..6 {
        let pivot = matrix[i][i];
        if pivot.abs() < 1e-12 {
            return [0.0; 6];
        }
        for j in i + 1..6 {
            let factor = matrix[j][i] / pivot;
            let row = matrix[i];
            matrix[j].iter_mut().zip(row).skip(i).for_each(|(to, from)| *to -= factor * from);
            right[j] -= factor * right[i];
        }
    }
    for i in (0..6).rev() {
        let rest: f64 = (i + 1..6).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - rest) / matrix[i][i];
    }
    right
}

/// How much a hint still counts, 0..=1, where others say `by`.
fn credit(hint: &Hint, by: [f32; 2]) -> f32 {
    let (x, y) = (hint.by[0] - by[0], hint.by[1] - by[1]);
    let [xx, xy, yy] = hint.trust;
    let distance = xx * x * x + 2.0 * xy * x * y + yy * y * y;
    1.0 / (1.0 + distance / (ROBUST * ROBUST))
}

/// The smooth field that agrees best with `hints` (by node), and is affine where nothing is known.
pub fn settle(grid: Grid, hints: &[(usize, Hint)]) -> Field {
    let affine = Affine::fit(&grid, hints);
    let basis: Vec<[f32; 2]> = (0..grid.count()).map(|node| affine.at(grid.place(node))).collect();
    let mut rest = vec![[0.0f32; 2]; grid.count()];
    let mut known = vec![([0.0f32; 2], [0.0f32; 3]); grid.count()];
    for pass in 0..2 {
        for (node, hint) in hints {
            let now = [basis[*node][0] + rest[*node][0], basis[*node][1] + rest[*node][1]];
            let share = if pass == 0 { 1.0 } else { credit(hint, now) };
            let [xx, xy, yy] = hint.trust.map(|t| t * share);
            let (x, y) = (hint.by[0] - basis[*node][0], hint.by[1] - basis[*node][1]);
            known[*node] = ([xx * x + xy * y, xy * x + yy * y], [xx, xy, yy]);
        }
        for sweep in 0..SWEEPS {
            let mut relax = |node: usize| {
                let (column, row) = (node % grid.columns, node / grid.columns);
                let ([mut a, mut b], [mut xx, xy, mut yy]) = known[node];
                (xx, yy) = (xx + LOOSE, yy + LOOSE);
                let mut join = |other: usize| {
                    (xx, yy) = (xx + STIFF, yy + STIFF);
                    (a, b) = (a + STIFF * rest[other][0], b + STIFF * rest[other][1]);
                };
                if column > 0 {
                    join(node - 1);
                }
                if column + 1 < grid.columns {
                    join(node + 1);
                }
                if row > 0 {
                    join(node - grid.columns);
                }
                if row + 1 < grid.rows {
                    join(node + grid.columns);
                }
                let determinant = xx * yy - xy * xy;
                rest[node] = [(yy * a - xy * b) / determinant, (xx * b - xy * a) / determinant];
            };
            // There and back, so that what is known spreads both ways.
            if sweep % 2 == 0 {
                (0..grid.count()).for_each(&mut relax);
            } else {
                (0..grid.count()).rev().for_each(&mut relax);
            }
        }
    }
    let by = basis.iter().zip(&rest).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]);
    Field { grid, by: by.collect() }
}
