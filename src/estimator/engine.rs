//! What the stages need of a runtime, and the choice of one.
//!
//! Both runtimes plan for concrete shapes: a [`Graph`] is loaded once and turned into a [`Program`] for each shape,
//! which any number of users share; it runs in [`Runner`]s, one for each that runs at the same time.

use super::backend::Backend;
use super::error::{Error, Result};
use super::model::File;
use super::network::{self, LayerTime, Layout};
#[cfg(feature = "onnxruntime")]
use super::onnxruntime;
use crate::threads::Threads;

/// Reads the network in `file`, which must have the one input `input` and at least the outputs `outputs`; they come
/// out in this order. Each is taken and given in its layout, whatever the file has.
pub fn load(
    backend: &Backend,
    file: &File,
    input: (&str, Layout),
    outputs: &[(&str, Layout)],
) -> Result<Box<dyn Graph>> {
    match backend {
        Backend::Tract => Ok(Box::new(network::Graph::load(file, input, outputs)?)),
        #[cfg(feature = "onnxruntime")]
        Backend::OnnxRuntime { providers } => Ok(Box::new(onnxruntime::Graph::load(file, input, outputs, providers)?)),
        #[cfg(not(feature = "onnxruntime"))]
        Backend::OnnxRuntime { .. } => Err(Error::NoOnnxRuntime),
    }
}

/// A parsed network whose shapes are still open.
pub trait Graph: Send + Sync {
    /// Makes the network ready for items of this shape, (channels, rows, columns) whatever the input's layout (a
    /// fraction of a second), of which `many` come at once, or one at a time.
    fn program(&self, item: [usize; 3], many: bool) -> Result<Box<dyn Program>>;
}

/// A network ready for items of one shape.
pub trait Program: Send + Sync {
    /// What to call it in errors.
    fn file(&self) -> &str;

    /// What it was made for: (channels, rows, columns).
    fn item(&self) -> [usize; 3];

    /// Shapes of the outputs for one item, in their layouts.
    fn outputs(&self) -> &[Vec<usize>];

    /// Something that runs the program; a runtime that has threads of its own takes as many as `threads` are.
    fn runner(&self, threads: &Threads) -> Result<Box<dyn Runner>>;
}

impl dyn Program + '_ {
    /// The error that the network does not fit.
    pub fn fail<T>(&self, problem: String) -> Result<T> {
        Err(Error::Network { file: self.file().into(), problem })
    }

    /// Complains unless output `index`, called `name`, has the expected shape; `None` stands for any length.
    pub fn expect(&self, index: usize, name: &str, expected: &[Option<usize>]) -> Result<()> {
        let shape = &self.outputs()[index];
        let fits = shape.len() == expected.len()
            && shape.iter().zip(expected).all(|(&have, want)| have > 0 && want.is_none_or(|want| want == have));
        if fits {
            return Ok(());
        }
        let expected: Vec<String> = expected.iter().map(|n| n.map_or("any".into(), |n| n.to_string())).collect();
        let problem = format!(
            "puts out \"{name}\" with the shape {shape:?} for an input of {:?}, expected is ({})",
            self.item(),
            expected.join(", ")
        );
        self.fail(problem)
    }
}

/// Runs a program, over and over.
pub trait Runner: Send {
    /// The input for so many items, one after the other, to be filled before [`run`](Self::run); it keeps what was
    /// written last if the number is the same.
    fn input(&mut self, count: usize) -> &mut [f32];

    /// Runs the network on the input, each layer on all of `threads`. The outputs have as many items as the input.
    fn run(&mut self, threads: &Threads) -> Result<Vec<Box<dyn Output>>>;

    /// How long layers took in the runs since this was last called; nothing on the first call, or if it is not known.
    fn profiled(&mut self) -> Vec<LayerTime> {
        Vec::new()
    }
}

/// What a network put out.
pub trait Output {
    /// The shape in the output's layout, items first, with 1 for axes that it does not have.
    fn dims(&self) -> [usize; 4];

    /// The values, last axis fastest.
    fn data(&self) -> &[f32];
}
