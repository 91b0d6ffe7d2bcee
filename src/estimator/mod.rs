//! From a picture to the people in it: a two-stage network, without GStreamer.
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

pub mod anchors;
pub mod backend;
pub mod boxes;
pub mod charts;
pub mod detections;
mod engine;
pub mod error;
mod guard;
pub mod manifest;
pub mod model;
pub mod network;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod plans;
pub mod repeats;
pub mod roi_align;
pub mod stages;
pub mod timings;

pub use backend::{Backend, Provider};
pub use error::{Error, Result};
pub use manifest::Manifest;
pub use model::Model;
pub use timings::{Stage, Timings};

use std::sync::Arc;

use anchors::{proposals_for, propose};
use boxes::{Rect, Scored};
use detections::{PixelBox, detect};
use repeats::repeats;

use stages::{BoxHead, DensePoseHead, Trunk};

use crate::frame::{InputSize, Sampler};
use crate::image::Image;
use crate::person::Person;
pub use crate::threads::Threads;
use crate::track::Followed;
pub use crate::track::Tracker;
use crate::workers::Workers;

/// How to run a model. The default is what its manifest says, on all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Length of the frame's shorter side in the network, in pixels, clamped to 32..=2048; 0 is the model's own.
    /// Whatever it says, the longer side stays within the model's `max_long_side`.
    pub short_side: usize,
    /// Threads to run on. 0 is one for each core, which all estimators of the process share in turns; any other number
    /// are this one's own. ONNX Runtime keeps the number that it was loaded with.
    pub threads: usize,
    /// Least score of a person, 0..=1; `None` is the model's own.
    pub score_threshold: Option<f32>,
    /// Most persons to return, best first; `None` is the model's own. Three proposals are looked at for two persons, but
    /// at least as many as the model's `post_nms_topk`, so that large numbers take time even where few people are.
    pub max_persons: Option<usize>,
}

/// People that are mapped beyond the most that are wanted, because some may turn out to be none.
const RESERVE: usize = 2;

/// A loaded model that finds people in pictures.
pub struct Estimator {
    manifest: Manifest,
    options: Options,
    sampler: Sampler,
    trunk: Trunk,
    box_head: BoxHead,
    densepose_head: DensePoseHead,
    /// What the networks run on, and the option that asked for it.
    workers: (usize, Arc<Workers>),
    /// Those of them that the current picture has.
    threads: Threads,
    /// Whether each picture takes all threads, because the runtime has its own.
    whole: bool,
    timings: Timings,
}

impl Estimator {
    /// Loads the networks of `model` into tract.
    ///
    /// # Errors
    /// Where a network cannot be read or does not fit the manifest.
    pub fn new(model: &Model, options: Options) -> Result<Self> {
        Self::with_backend(model, options, &Backend::Tract)
    }

    /// Loads the networks of `model` into `backend`, unless others use them.
    ///
    /// # Errors
    /// Where the backend cannot be used as demanded, a network cannot be read or does not fit the manifest.
    pub fn with_backend(model: &Model, options: Options, backend: &Backend) -> Result<Self> {
        let workers = workers(options.threads)?;
        let threads = workers.threads().clone();
        let manifest = model.manifest().clone();
        Ok(Self {
            sampler: Sampler::new(&manifest.input),
            trunk: Trunk::load(model, backend)?,
            box_head: BoxHead::load(model, &threads, backend)?,
            densepose_head: DensePoseHead::load(model, &threads, backend)?,
            workers: (options.threads, workers),
            threads,
            whole: backend.has_threads(),
            timings: Timings::default(),
            manifest,
            options,
        })
    }

    /// Builds what pictures of this width and height, of pixels of this width divided by their height, need, so that the first one takes no longer than the rest (0.2 to 0.5 s for
    /// each new size otherwise).
    ///
    /// # Errors
    /// Where the networks do not run at that size.
    pub fn prepare(&mut self, size: (usize, usize), pixel_aspect: f64) -> Result<()> {
        if self.workers.0 != self.options.threads {
            self.workers = (self.options.threads, workers(self.options.threads)?);
        }
        let size = self.input_size(size, pixel_aspect);
        self.trunk.prepare(&self.manifest, (size.padded_width, size.padded_height), self.workers.1.threads())
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn options(&self) -> Options {
        self.options
    }

    /// Changes the options from the next picture on; nothing is loaded again, and only what depends on a changed
    /// option is built anew.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// The size that pictures of this width and height, of pixels of this width divided by their height, have in the
    /// network.
    pub fn input_size(&self, size: (usize, usize), pixel_aspect: f64) -> InputSize {
        InputSize::new(size, pixel_aspect, self.options.short_side, &self.manifest.input)
    }

    /// The people in `image`, best first, with ids 0, 1, 2, ... in that order.
    ///
    /// # Errors
    /// Where the networks do not run at the picture's size.
    pub fn estimate(&mut self, image: &Image) -> Result<Vec<Person>> {
        self.run(image, &mut Tracker::default(), None)
    }

    /// The people in the next picture of a video, best first; `tracker` remembers those of the pictures before.
    ///
    /// # Errors
    /// Where the networks do not run at the picture's size.
    pub fn follow(&mut self, image: &Image, tracker: &mut Tracker) -> Result<Vec<Person>> {
        self.run(image, tracker, None)
    }

    /// Like [`estimate`](Self::estimate), but with the body mapped in `boxes`, in pixels of the picture, and not where
    /// the network detects people. Detection takes its time all the same, so that frames with a given number of
    /// people can be measured with any weights. Boxes that lie outside of the picture are left out; scores are 1.
    ///
    /// # Errors
    /// Where the networks do not run at the picture's size.
    pub fn estimate_boxes(&mut self, image: &Image, boxes: &[Rect]) -> Result<Vec<Person>> {
        self.run(image, &mut Tracker::default(), Some(boxes))
    }

    fn run(&mut self, image: &Image, tracker: &mut Tracker, boxes: Option<&[Rect]>) -> Result<Vec<Person>> {
        self.prepare((image.width(), image.height()), image.layout().pixel_aspect)?;
        let workers = self.workers.1.clone();
        workers.lend(self.whole, |threads| {
            self.set_threads(threads);
            self.run_stages(image, tracker, boxes)
        })
    }

    fn set_threads(&mut self, threads: Threads) {
        self.trunk.set_threads(&threads);
        self.box_head.set_threads(&threads);
        self.densepose_head.set_threads(&threads);
        self.threads = threads;
    }

    fn run_stages(&mut self, image: &Image, tracker: &mut Tracker, boxes: Option<&[Rect]>) -> Result<Vec<Person>> {
        let (width, height) = (image.width(), image.height());
        let size = self.input_size((width, height), image.layout().pixel_aspect);
        let (threshold, most) = self.limits();
        let most = boxes.map_or(most, <[Rect]>::len);
        let given = boxes.is_some();
        let Self { manifest, options, sampler, trunk, box_head, densepose_head, threads, timings, .. } = self;
        timings.restart();

        timings.time(Stage::Resize, || sampler.sample(image, size, threads, trunk.input()));
        let pyramid = timings.time(Stage::Trunk, || trunk.run())?;
        let features = pyramid.features(manifest);
        let levels = pyramid.levels(manifest);

        let mut proposals = timings.time(Stage::Proposals, || {
            propose(
                &manifest.rpn,
                &levels,
                (size.width, size.height),
                proposals_for(&manifest.rpn, options.max_persons),
            )
        });
        // Who is hidden in part is proposed less than others; lost people are looked for where they are expected (after Bergmann et
        // al., *Tracking without bells and whistles*, ICCV 2019).
        let (right, bottom) = (size.width as f32, size.height as f32);
        let expected = tracker.expected(size.height).into_iter().map(|rect| rect.clipped(right, bottom));
        proposals.extend(expected.filter(|rect| !rect.is_empty()).map(|rect| Scored { rect, score: 0.0 }));
        let verdicts = box_head.judge(&features, &proposals, timings)?;
        let head = &manifest.densepose_head;
        let people = timings.time(Stage::Detections, || {
            // Who is doubted once mapped, or somebody once more, gives way to the next best.
            let may_go = head.sure_from > 0.0 || head.nms_iou < 1.0;
            let reserve = if most > 0 && may_go { RESERVE } else { 0 };
            let limits = (tracker.least(threshold), most.saturating_add(reserve));
            let mut found = detect(&manifest.box_head, manifest.person_class(), &proposals, &verdicts, size, limits);
            if let Some(boxes) = boxes {
                let (x, y) = (size.width as f32 / width as f32, size.height as f32 / height as f32);
                let finite = boxes.iter().filter(|rect| rect.is_finite());
                found = finite.map(|rect| Scored { rect: rect.scaled(x, y), score: 1.0 }).collect();
            }
            tracker.follow(&found, threshold, (size.width, size.height))
        });

        let margin = if given { 0.0 } else { head.margin };
        let placed = people.iter().filter_map(|person| {
            let rect = person.rect.widened(margin).clipped(size.width as f32, size.height as f32);
            Some((person, (rect, PixelBox::new(&rect, size, width, height)?)))
        });
        let (people, (boxes, places)): (Vec<&Followed>, (Vec<Rect>, Vec<PixelBox>)) = placed.unzip();
        let memory = &*tracker;
        let mut mapped = densepose_head.map(&features, &boxes, timings, |index, charts| {
            let (person, PixelBox { x, y, width, height }) = (people[index], places[index]);
            memory.smoothed(person, charts, |charts| {
                let trust = if given { 1.0 } else { head.trust(|| charts.certainty()) };
                let score = person.score * trust;
                // What is not shown is not painted.
                person.suffices(score).then(|| {
                    let iuv = charts.to_iuv(width, height, threads);
                    Person { id: 0, score, x, y, iuv }
                })
            })
        })?;
        if !given {
            for repeat in repeats(&mapped, head) {
                mapped[repeat] = None;
                tracker.dismiss(people[repeat]);
            }
        }
        let persons = tracker.shown(&people, mapped, most, image);
        tracker.forget();
        Ok(persons)
    }

    /// Number of threads that the networks run on where nobody shares them.
    pub fn threads(&self) -> usize {
        self.workers.1.threads().count()
    }

    /// Where the time of the last picture went.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Least score and greatest number of persons.
    fn limits(&self) -> (f32, usize) {
        let config = &self.manifest.box_head;
        let most = self.options.max_persons.unwrap_or(config.max_detections);
        (self.options.score_threshold.unwrap_or(config.score_threshold), most)
    }
}

fn workers(count: usize) -> Result<Arc<Workers>> {
    let workers = if count == 0 { Workers::common() } else { Workers::own(count) };
    workers.map_err(|problem| Error::Threads { count, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimators_may_go_to_other_threads() {
        fn goes<T: Send>() {}
        goes::<Estimator>();
    }

    #[test]
    fn estimators_of_a_process_share_what_costs() {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny")).unwrap();
        let load = |threads, short_side| {
            let mut estimator = Estimator::new(&model, Options { threads, short_side, ..Options::default() }).unwrap();
            estimator.prepare((96, 64), 1.0).unwrap();
            estimator
        };
        let (first, second, smaller, own) = (load(0, 0), load(0, 0), load(0, 32), load(2, 0));
        let workers = |estimator: &Estimator| estimator.workers.1.clone();
        assert!(Arc::ptr_eq(&workers(&first), &workers(&second)) && Arc::ptr_eq(&workers(&first), &workers(&smaller)));
        assert!(!Arc::ptr_eq(&workers(&first), &workers(&own)), "who asks for threads has its own");
        let trunk = |estimator: &Estimator| estimator.trunk.shared();
        let heads = |e: &Estimator| [e.box_head.shared(), e.densepose_head.shared()];
        for other in [&second, &own] {
            assert_eq!((trunk(&first), heads(&first)), (trunk(other), heads(other)));
        }
        assert_eq!((trunk(&first).0, heads(&first)), (trunk(&smaller).0, heads(&smaller)));
        assert_ne!(trunk(&first).1, trunk(&smaller).1, "another size has another plan");
    }
}
