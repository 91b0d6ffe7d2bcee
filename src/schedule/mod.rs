//! When frames are analysed, and how long that takes: without GStreamer and without the network.

pub mod durations;
pub mod stats;
pub mod worker;

pub use durations::Durations;
pub use stats::Stats;
pub use worker::Worker;
