//! Squares that may cover more than two by two pixels: lines between their sides.

use super::grid::Grid;
use super::raster::Raster;

/// One side of a square.
#[derive(Clone, Copy)]
struct Edge {
    /// The corners at its ends, counter-clockwise from the top left one; and back from south to north, from east to west.
    corners: (u8, u8),
    /// 0 along columns, 1 along rows.
    axis: u8,
    /// 1 where it is the right or the lower one of its kind.
    far: u8,
}

const WEST: Edge = Edge { corners: (0, 1), axis: 1, far: 0 };
const SOUTH: Edge = Edge { corners: (1, 2), axis: 0, far: 1 };
const EAST: Edge = Edge { corners: (3, 2), axis: 1, far: 1 };
const NORTH: Edge = Edge { corners: (0, 3), axis: 0, far: 0 };

/// The edges between which lines run, by the corners that reach the level, counter-clockwise from the top left one.
static ENDS: [&[[Edge; 2]]; 16] = [
    &[],
    &[[WEST, NORTH]],
    &[[WEST, SOUTH]],
    &[[NORTH, SOUTH]],
    &[[SOUTH, EAST]],
    &[[WEST, SOUTH], [NORTH, EAST]],
    &[[WEST, EAST]],
    &[[NORTH, EAST]],
    &[[NORTH, EAST]],
    &[[WEST, EAST]],
    &[[NORTH, WEST], [SOUTH, EAST]],
    &[[SOUTH, EAST]],
    &[[NORTH, SOUTH]],
    &[[WEST, SOUTH]],
    &[[WEST, NORTH]],
    &[],
];

/// Draws the lines of one level through a square; of its corners are given the values, and whether they reach the level.
pub(super) fn draw(
    raster: &mut Raster,
    grids: &[Grid; 2],
    square: [usize; 2],
    corners: [(f64, bool); 4],
    level: f64,
    line: u16,
) {
    let inside = (0..4).fold(0, |code, corner| code | usize::from(corners[corner].1) << corner);
    for edges in ENDS[inside] {
        let [from, to] = edges.map(|edge| end(edge, &corners, level, square, grids));
        raster.line(from, to, line);
    }
}

/// Column and row of the box's pixel in which a line ends on an edge.
fn end(edge: Edge, corners: &[(f64, bool); 4], level: f64, square: [usize; 2], grids: &[Grid; 2]) -> [i32; 2] {
    let (a, b) = (corners[usize::from(edge.corners.0)].0, corners[usize::from(edge.corners.1)].0);
    let (along, across) = (usize::from(edge.axis), usize::from(1 - edge.axis));
    let moving = grids[along].pixel(square[along], (level - a) / (b - a));
    let fixed = grids[across].ends(square[across])[usize::from(edge.far)] as i32;
    if along == 0 { [moving, fixed] } else { [fixed, moving] }
}
