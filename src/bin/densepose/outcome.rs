//! How a run ends: the exit codes, and errors that say what was wrong and what to do.

use std::fmt;
use std::process::ExitCode;

use crate::packages;

/// Why a run failed; the number is the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An input cannot be read or an output cannot be written.
    Failed = 1,
    /// The command line asks for what cannot be.
    Usage = 2,
    /// An output is there already.
    Exists = 3,
    /// A part of GStreamer is not installed.
    Missing = 4,
    /// Nothing moved for too long.
    Stalled = 5,
}

/// A failed run, in words.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: Kind,
    cause: String,
    remedies: Vec<String>,
}

impl Failure {
    pub fn new(kind: Kind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), remedies: Vec::new() }
    }

    pub fn failed(cause: impl Into<String>) -> Self {
        Self::new(Kind::Failed, cause)
    }

    pub fn usage(cause: impl Into<String>) -> Self {
        Self::new(Kind::Usage, cause)
    }

    /// An element that GStreamer does not find.
    pub fn missing(element: &str) -> Self {
        let cause = format!("GStreamer does not find the element '{element}'");
        Self::new(Kind::Missing, cause).remedy(packages::of_element(element))
    }

    /// Adds what to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.cause)?;
        self.remedies.iter().try_for_each(|remedy| write!(f, "\n{remedy}"))
    }
}

/// A run that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of the input was worked on.
    Complete,
    /// Ctrl-C or SIGTERM ended it; what was written until then is whole.
    Interrupted,
}

/// The code that the shell sees.
pub fn exit_code(result: &Result<End, Failure>) -> ExitCode {
    match result {
        Ok(End::Complete) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => ExitCode::from(130),
        Err(failure) => ExitCode::from(failure.kind as u8),
    }
}
