//! Properties of the `densepose` element, and what they mean to the estimator.

use std::path::PathBuf;

use gst::glib;
use gst::prelude::*;

use super::{Backend, Mode};
use crate::estimator::{self, Options, Provider};
use crate::frame::SHORT_SIDES;

const DEFAULT_SHORT_SIDE: u32 = 0;
const DEFAULT_SCORE_THRESHOLD: f64 = 0.5;
const DEFAULT_MAX_PERSONS: u32 = 20;
const DEFAULT_INTERVAL: u32 = 1;
const DEFAULT_THREADS: u32 = 0;
const DEFAULT_SMOOTHING: f64 = 0.5;
const DEFAULT_FOLLOW: bool = true;
const DEFAULT_MAX_AGE: u32 = 0;

/// What the user has set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub model: Option<PathBuf>,
    pub short_side: u32,
    pub score_threshold: f64,
    pub max_persons: u32,
    pub mode: Mode,
    pub interval: u32,
    pub threads: u32,
    pub smoothing: f64,
    pub follow: bool,
    /// In frames; 0 = no limit.
    pub max_age: u32,
    pub backend: Backend,
    pub execution_providers: Option<String>,
    /// Nanoseconds between messages; 0 = none.
    pub stats_interval: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: None,
            short_side: DEFAULT_SHORT_SIDE,
            score_threshold: DEFAULT_SCORE_THRESHOLD,
            max_persons: DEFAULT_MAX_PERSONS,
            mode: Mode::default(),
            interval: DEFAULT_INTERVAL,
            threads: DEFAULT_THREADS,
            smoothing: DEFAULT_SMOOTHING,
            follow: DEFAULT_FOLLOW,
            max_age: DEFAULT_MAX_AGE,
            backend: Backend::default(),
            execution_providers: None,
            stats_interval: 0,
        }
    }
}

impl Settings {
    /// For `threads` as they were when the element started.
    pub fn options(&self, threads: u32) -> Options {
        Options {
            short_side: self.short_side as usize,
            threads: threads as usize,
            score_threshold: Some(self.score_threshold as f32),
            max_persons: Some(self.max_persons as usize),
        }
    }

    /// What runs the networks, or what is wrong with the demand, for the user.
    pub fn backend(&self) -> Result<estimator::Backend, String> {
        let names = self.execution_providers.as_deref().unwrap_or_default();
        let providers = Provider::list(names).map_err(|e| e.to_string())?;
        match self.backend {
            Backend::OnnxRuntime => Ok(estimator::Backend::OnnxRuntime { providers }),
            Backend::Tract if providers.is_empty() => Ok(estimator::Backend::Tract),
            Backend::Tract => Err(format!(
                "tract has no execution providers ({names}); set backend=onnxruntime, too, or leave them out"
            )),
        }
    }

    /// Takes a property over. GObject checks type and range against the ParamSpec before; `false`: there is none of
    /// that name.
    pub fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "model" => self.model = value.get().unwrap_or_default(),
            "short-side" => self.short_side = value.get().unwrap_or(DEFAULT_SHORT_SIDE),
            "score-threshold" => self.score_threshold = value.get().unwrap_or(DEFAULT_SCORE_THRESHOLD),
            "max-persons" => self.max_persons = value.get().unwrap_or(DEFAULT_MAX_PERSONS),
            "mode" => self.mode = value.get().unwrap_or_default(),
            "interval" => self.interval = value.get().unwrap_or(DEFAULT_INTERVAL),
            "smoothing" => self.smoothing = value.get().unwrap_or(DEFAULT_SMOOTHING),
            "follow" => self.follow = value.get().unwrap_or(DEFAULT_FOLLOW),
            "max-age" => self.max_age = value.get().unwrap_or(DEFAULT_MAX_AGE),
            "threads" => self.threads = value.get().unwrap_or(DEFAULT_THREADS),
            "backend" => self.backend = value.get().unwrap_or_default(),
            "execution-providers" => self.execution_providers = value.get().unwrap_or_default(),
            "stats-interval" => self.stats_interval = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// The value of a property; `None` where there is none of that name.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "model" => self.model.to_value(),
            "short-side" => self.short_side.to_value(),
            "score-threshold" => self.score_threshold.to_value(),
            "max-persons" => self.max_persons.to_value(),
            "mode" => self.mode.to_value(),
            "interval" => self.interval.to_value(),
            "smoothing" => self.smoothing.to_value(),
            "follow" => self.follow.to_value(),
            "max-age" => self.max_age.to_value(),
            "threads" => self.threads.to_value(),
            "backend" => self.backend.to_value(),
            "execution-providers" => self.execution_providers.to_value(),
            "stats-interval" => self.stats_interval.to_value(),
            _ => return None,
        })
    }

    pub fn properties() -> Vec<glib::ParamSpec> {
        vec![
            glib::ParamSpecString::builder("model")
                .nick("Model")
                .blurb(
                    "Directory of the model to run (model.json and its networks); unset = the one inside, if the build \
                     has one",
                )
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt::builder("short-side")
                .nick("Short side")
                .blurb(
                    "Length in pixels of the frame's shorter side in the network, at least 32: larger finds smaller \
                     people, smaller is faster; 0 = the model's own",
                )
                .maximum(*SHORT_SIDES.end() as u32)
                .default_value(DEFAULT_SHORT_SIDE)
                .mutable_playing()
                .build(),
            glib::ParamSpecDouble::builder("score-threshold")
                .nick("Score threshold")
                .blurb("Least confidence of a person")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(DEFAULT_SCORE_THRESHOLD)
                .mutable_playing()
                .build(),
            glib::ParamSpecUInt::builder("max-persons")
                .nick("Max persons")
                .blurb("Most persons per frame, best first; the time per frame grows with every person")
                .default_value(DEFAULT_MAX_PERSONS)
                .mutable_playing()
                .build(),
            glib::ParamSpecEnum::builder::<Mode>("mode")
                .nick("Mode")
                .blurb("Whether frames wait for the network")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt::builder("interval")
                .nick("Interval")
                .blurb(
                    "Run the network on every Nth frame; frames between carry the last result, moved with the picture \
                     unless follow is off, and its age",
                )
                .minimum(1)
                .default_value(DEFAULT_INTERVAL)
                .mutable_playing()
                .build(),
            glib::ParamSpecUInt::builder("threads")
                .nick("Threads")
                .blurb("Threads to run the network on; 0 = one for each core, which all elements of the process share")
                .maximum(256)
                .default_value(DEFAULT_THREADS)
                .mutable_ready()
                .build(),
            glib::ParamSpecDouble::builder("smoothing")
                .nick("Smoothing")
                .blurb(
                    "How much boxes and parts are held against flicker from frame to frame; 0 = each frame stands for \
                     itself",
                )
                .minimum(0.0)
                .maximum(0.9)
                .default_value(DEFAULT_SMOOTHING)
                .mutable_playing()
                .build(),
            glib::ParamSpecBoolean::builder("follow")
                .nick("Follow")
                .blurb(
                    "Move the last result with the picture where a frame has none of its own; off = boxes and maps stand \
                     still",
                )
                .default_value(DEFAULT_FOLLOW)
                .mutable_playing()
                .build(),
            glib::ParamSpecUInt::builder("max-age")
                .nick("Max age")
                .blurb("Frames after which a result is not attached any more; 0 = no limit")
                .default_value(DEFAULT_MAX_AGE)
                .mutable_playing()
                .build(),
            glib::ParamSpecEnum::builder::<Backend>("backend")
                .nick("Backend")
                .blurb(
                    "What runs the network; onnxruntime needs a build with that feature, and the library, which the \
                     environment variable ORT_DYLIB_PATH names",
                )
                .mutable_ready()
                .build(),
            glib::ParamSpecString::builder("execution-providers")
                .nick("Execution providers")
                .blurb(
                    "Where ONNX Runtime is to run the network, comma-separated, best first, such as tensorrt,cuda; \
                     unset = on the CPU",
                )
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("stats-interval")
                .nick("Stats interval")
                .blurb("Nanoseconds of running time between element messages with the stats; 0 = none")
                .mutable_playing()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Stats")
                .blurb("Frames, inferences, times and rates since the element started")
                .read_only()
                .build(),
        ]
    }
}
