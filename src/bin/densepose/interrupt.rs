//! Ctrl-C and SIGTERM: the first ends the work in order, the second at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::outcome::Failure;

pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on.
    pub fn new() -> Result<Self, Failure> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first sets what the second sees.
            flag::register_conditional_shutdown(signal, 130, raised.clone())
                .and_then(|_| flag::register(signal, raised.clone()))
                .map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")))?;
        }
        Ok(Self(raised))
    }

    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
