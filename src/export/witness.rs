//! Whether anything in the pipeline has failed. An element upstream that fails sends the end of the stream as if all
//! were well; only the error message tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::glib;
use gst::prelude::*;

/// Watches for error messages of an element's neighbours, from its making until it is dropped.
pub struct Witness {
    failed: Arc<AtomicBool>,
    watched: Vec<(gst::Bus, glib::SignalHandlerId)>,
}

impl Witness {
    /// Watches the buses of `element` and of the bins that it is in.
    pub fn new(element: &gst::Element) -> Self {
        let failed = Arc::new(AtomicBool::new(false));
        let mut watched = Vec::new();
        let mut next = Some(element.clone());
        while let Some(element) = next {
            if let Some(bus) = element.bus() {
                let failed = failed.clone();
                bus.enable_sync_message_emission();
                let watch = bus.connect_sync_message(Some("error"), move |_, _| failed.store(true, Ordering::SeqCst));
                watched.push((bus, watch));
            }
            next = element.parent().and_then(|parent| parent.downcast().ok());
        }
        Self { failed, watched }
    }

    /// Whether an error was posted.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        for (bus, watch) in self.watched.drain(..) {
            bus.disconnect(watch);
            bus.disable_sync_message_emission();
        }
    }
}
