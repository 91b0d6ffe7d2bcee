//! Pointwise convolution: the same product for every pixel.

use super::scratch::scratch;
use crate::kernels::Clamp;
use crate::kernels::gemm::{Tap, Weights, product};
use crate::kernels::gemm8::{Weights8, product8};

/// Channels in and out from which on 8 bits are faster: rounding a pixel costs as much as a few results.
const LEAST_DEPTH: usize = 16;
const LEAST_COLUMNS: usize = 24;

/// In what a product is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    Float,
    /// In 8 bits, where that is faster on this processor.
    Bytes,
}

/// Pointwise convolution with bounds.
pub struct Pointwise {
    weights: Packed,
    clamp: Clamp,
}

enum Packed {
    Float(Weights),
    Bytes(Weights8),
}

impl Pointwise {
    /// `weight(input channel, output channel)`, `bias(output channel)`.
    pub fn new(
        precision: Precision,
        (depth, columns): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let pays = precision == Precision::Bytes && depth >= LEAST_DEPTH && columns >= LEAST_COLUMNS;
        let bytes = if pays { Weights8::pack(depth, columns, &weight, &bias) } else { None };
        let weights = match bytes {
            Some(bytes) => Packed::Bytes(bytes),
            None => Packed::Float(Weights::pack(depth, columns, weight, bias)),
        };
        Self { weights, clamp: Clamp::NONE }
    }

    /// With these bounds of the result.
    pub fn bounded(self, clamp: Clamp) -> Self {
        Self { clamp, ..self }
    }

    /// Channels that go in.
    pub fn depth(&self) -> usize {
        match &self.weights {
            Packed::Float(weights) => weights.depth(),
            Packed::Bytes(weights) => weights.depth(),
        }
    }

    /// Channels that come out.
    pub fn columns(&self) -> usize {
        match &self.weights {
            Packed::Float(weights) => weights.columns(),
            Packed::Bytes(weights) => weights.columns(),
        }
    }

    /// Writes as many pixels as `out` has, adding `residual` before the bounds.
    pub fn run(&self, input: &[f32], out: &mut [f32], residual: Option<&[f32]>) {
        let (depth, columns) = (self.depth(), self.columns());
        let pixels = out.len() / columns;
        match &self.weights {
            Packed::Float(weights) => {
                let tap = [Tap { input: 0, weight: 0, length: depth }];
                let residual = residual.map(|data| (data, columns));
                product(weights, input, depth, &tap, pixels, out, columns, residual, self.clamp);
            }
            Packed::Bytes(weights) => {
                scratch(|memory| product8(weights, input, pixels, out, residual, self.clamp, memory));
            }
        }
    }
}
