//! What has passed each stage of a pipeline: for progress, for the watchdog, and to end a stream early.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;

/// A place in the pipeline and how many buffers came by.
#[derive(Debug)]
struct Stage {
    /// What the stage before this place does, such as `decoding`.
    work: &'static str,
    buffers: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Shared {
    stages: Mutex<Vec<Stage>>,
    /// Presentation time of the last drawn frame in nanoseconds, counted from the first.
    position: AtomicU64,
    closed: AtomicBool,
    /// Running time at which a gate has ended the video.
    end: Mutex<Option<gst::ClockTime>>,
    /// Where streams come in.
    heads: Mutex<Vec<gst::Pad>>,
}

/// Counts what passes; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Stages(Arc<Shared>);

impl Stages {
    /// Counts the buffers on a pad, which come from stage `work`; in the order of the stream.
    pub fn count(&self, work: &'static str, pad: &gst::Pad) {
        let buffers = Arc::new(AtomicU64::new(0));
        let counter = buffers.clone();
        let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
        pad.add_probe(mask, move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        crate::lock(&self.0.stages).push(Stage { work, buffers });
    }

    /// Notes the time of frames on a pad as the position.
    pub fn follow(&self, pad: &gst::Pad) {
        let (shared, first) = (self.0.clone(), AtomicU64::new(u64::MAX));
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(pts) = info.buffer().and_then(|b| b.pts()) {
                let _ = first.compare_exchange(u64::MAX, pts.nseconds(), Ordering::Relaxed, Ordering::Relaxed);
                let passed = pts.nseconds().saturating_sub(first.load(Ordering::Relaxed));
                shared.position.store(passed, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Ends the video on this sink pad with the frame at `limit` (counted from the first), or when it is closed.
    pub fn gate(&self, pad: &gst::Pad, limit: Option<gst::ClockTime>) {
        crate::lock(&self.0.heads).push(pad.clone());
        let (shared, first) = (self.0.clone(), Mutex::new(None));
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let Some(time) = running_time(pad, info) else { return gst::PadProbeReturn::Ok };
            let first = *crate::lock(&first).get_or_insert(time);
            let over = limit.is_some_and(|limit| time.saturating_sub(first) >= limit);
            if !over && !shared.closed.load(Ordering::Relaxed) {
                return gst::PadProbeReturn::Ok;
            }
            *crate::lock(&shared.end) = Some(time);
            pad.send_event(gst::event::Eos::new());
            info.flow_res = Err(gst::FlowError::Eos);
            gst::PadProbeReturn::Handled
        });
    }

    /// Ends the sound where a gate has ended the video: `head` is where it comes in, `last` the source pad in front of
    /// the muxer, which takes no more of it than it has video.
    pub fn gate_sound(&self, head: &gst::Pad, last: &gst::Pad) {
        crate::lock(&self.0.heads).push(head.clone());
        let shared = self.0.clone();
        last.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let end = *crate::lock(&shared.end);
            if running_time(pad, info).zip(end).is_none_or(|(time, end)| time < end) {
                return gst::PadProbeReturn::Ok;
            }
            pad.push_event(gst::event::Eos::new());
            info.flow_res = Err(gst::FlowError::Eos);
            gst::PadProbeReturn::Handled
        });
    }

    /// Ends the streams at their gates, with the next frame that comes.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// Ends the streams in place of a source that has failed.
    pub fn end(&self) {
        let heads = crate::lock(&self.0.heads).clone();
        for head in heads {
            head.send_event(gst::event::Eos::new());
        }
    }

    pub fn position(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.0.position.load(Ordering::Relaxed))
    }

    /// Grows whenever something moves.
    pub fn moved(&self) -> u64 {
        crate::lock(&self.0.stages).iter().map(|s| s.buffers.load(Ordering::Relaxed)).sum()
    }

    /// The buffers that came from a stage.
    pub fn passed(&self, work: &str) -> u64 {
        let stages = crate::lock(&self.0.stages);
        stages.iter().find(|s| s.work == work).map_or(0, |s| s.buffers.load(Ordering::Relaxed))
    }

    /// Which stage stands still, and what each has done.
    pub fn standstill(&self) -> String {
        let stages = crate::lock(&self.0.stages);
        let counts: Vec<_> = stages.iter().map(|s| (s.work, s.buffers.load(Ordering::Relaxed))).collect();
        // The first that gave nothing, or else the first that gave less than it got.
        let less = counts.windows(2).find(|pair| pair[1].1 < pair[0].1).map(|pair| pair[1].0);
        let still = counts.iter().find(|(_, n)| *n == 0).map(|(work, _)| *work).or(less).unwrap_or("reading");
        let list: Vec<_> = counts.iter().map(|(work, n)| format!("{work} {n}")).collect();
        format!("{still} stands still (buffers from each stage: {})", list.join(", "))
    }
}

/// When a buffer is to be shown, counted from the start of the pipeline; nothing without a time.
fn running_time(pad: &gst::Pad, info: &gst::PadProbeInfo) -> Option<gst::ClockTime> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    // What lies before the segment is clipped later on.
    Some(segment.to_running_time(info.buffer()?.pts()?).unwrap_or_default())
}
