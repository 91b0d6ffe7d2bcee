//! The frame that `--picture` shows: the first with people after a quarter of the video, or the nearest there is.

use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstdensepose::meta;

#[derive(Clone, Debug, Default)]
pub struct Candidate(Arc<Mutex<Option<Best>>>);

#[derive(Debug)]
struct Best {
    sample: gst::Sample,
    people: bool,
    late: bool,
}

impl Candidate {
    /// Looks at the frames on a pad behind the drawing.
    pub fn watch(&self, pad: &gst::Pad) {
        let (best, first) = (self.0.clone(), Mutex::new(None));
        let duration = Mutex::new(None);
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
            let pts = buffer.pts().unwrap_or_default();
            let first = *crate::lock(&first).get_or_insert(pts);
            let duration = *crate::lock(&duration).get_or_insert_with(|| quarter(pad));
            let mut best = crate::lock(&best);
            let late = pts.saturating_sub(first) >= duration;
            let settled = best.as_ref().is_some_and(|b| b.late && b.people);
            if !settled {
                let people = meta::read(buffer).is_some_and(|p| !p.persons.is_empty());
                let better =
                    best.as_ref().is_none_or(|b| (people, late) > (b.people, b.late) || !b.late && people >= b.people);
                if better && let Some(caps) = pad.current_caps() {
                    let sample = gst::Sample::builder().buffer(buffer).caps(&caps).build();
                    *best = Some(Best { sample, people, late });
                }
            }
            gst::PadProbeReturn::Ok
        });
    }

    pub fn take(&self) -> Option<gst::Sample> {
        crate::lock(&self.0).take().map(|best| best.sample)
    }
}

/// A quarter of the video's length; a second where that is not known.
fn quarter(pad: &gst::Pad) -> gst::ClockTime {
    let length = pad.query_duration::<gst::ClockTime>();
    length.map_or(gst::ClockTime::SECOND, |length| length / 4)
}
