//! What networks consist of: layers on channels-last pictures (items, rows, columns, channels), with their weights
//! packed, on any number of threads.

mod bottleneck;
mod convolution;
mod interleave;
mod pointwise;
mod pooled;
mod scratch;
mod sum;
mod transposed;
mod window;

pub use bottleneck::{Bottleneck, MOST_ROWS, Projection};
pub use convolution::Convolution;
pub use interleave::Interleave;
pub use pointwise::{Pointwise, Precision};
pub use pooled::Pooled;
pub use sum::{Sum, Term};
pub use transposed::{Enlargement, Transposed};
pub use window::Window;

use crate::threads::Threads;

/// Rows, columns and channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
}

impl Size {
    /// Numbers in a row.
    pub fn line(self) -> usize {
        self.columns * self.channels
    }

    /// Numbers in a picture.
    pub fn len(self) -> usize {
        self.rows * self.line()
    }
}

/// Something that makes pictures out of pictures.
pub trait Layer: Send + Sync {
    /// For people who look at a graph.
    fn name(&self) -> &'static str;

    /// Of the results.
    fn outputs(&self) -> Vec<Size>;

    /// Writes `items` pictures, one after the other, to each of the outputs. The inputs have as many, and the sizes that
    /// the layer was made for.
    ///
    /// # Panics
    /// Where a slice is too short or missing.
    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], items: usize, threads: &Threads);
}

/// Numbers that a thread's share of a layer should have at least, to be worth waking it up.
const LEAST: usize = 4096;
