//! How far the work is: a bar with the time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    bar: Option<ProgressBar>,
    shown: Instant,
    quiet: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| ProgressBar::new(0));
        Self { bar, shown: Instant::now(), quiet }
    }

    /// `done` of `total`, in any unit; zero for a total that is not known. `text` says it in words.
    pub fn update(&mut self, done: u64, total: u64, text: &str) {
        if let Some(bar) = &self.bar {
            let known = total > 0;
            if known != (bar.length() > Some(0)) || bar.position() == 0 {
                let style = if known { "{bar:30} {percent}% {msg}, {eta} left" } else { "{spinner} {msg}" };
                bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
            }
            bar.set_length(total);
            bar.set_position(done.min(total.max(1)));
            bar.set_message(text.to_owned());
            bar.tick();
        } else if !self.quiet && self.shown.elapsed() >= LINE_EVERY {
            self.shown = Instant::now();
            let percent = (done.min(total) * 100).checked_div(total).map_or_else(String::new, |n| format!("{n} %, "));
            eprintln!("{percent}{text}");
        }
    }

    /// A line between.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
