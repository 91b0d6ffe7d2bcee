//! How the tensors of a picture lie in memory.

/// Order of a tensor's axes. Tensors with fewer than three axes look the same either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// (items, channels, rows, columns), as ONNX has it.
    ChannelsFirst,
    /// (items, rows, columns, channels), what the kernels work on.
    ChannelsLast,
}

impl Layout {
    /// The channels-first `shape` as it is in this layout.
    pub fn arrange<T: Clone>(self, shape: &[T]) -> Vec<T> {
        let mut shape = shape.to_vec();
        if self == Self::ChannelsLast && shape.len() > 2 {
            shape[1..].rotate_left(1);
        }
        shape
    }
}
