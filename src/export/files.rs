//! Files that appear under their names only when they are complete, one after another.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Existing;
use super::target::{PART, Target};
use crate::records::location::Location;
use crate::records::{Encoder, Record};

/// When the next file begins; 0 = never. A file ends with the record that reaches a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub frames: u64,
    pub bytes: u64,
    /// Nanoseconds of stream time.
    pub time: u64,
}

impl Limits {
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}; {}", path.display(), remedy(source))]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    pub source: io::Error,
}

/// What a user can do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "does the directory exist?",
        ErrorKind::BrokenPipe => "whoever read has gone: start the reader again",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a location that may be written to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room, or set location to another disk",
        ErrorKind::AlreadyExists => {
            "set existing=overwrite to replace it, choose another location, or number the files: people-%05d.jsonl"
        }
        _ => "choose another location, or set ignore-errors=true to let the video go on without it",
    }
}

impl FileError {
    pub(super) fn new<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { doing, path: path.to_owned(), source }
    }
}

/// Writes records to one file after another.
pub struct Files {
    location: Location,
    existing: Existing,
    limits: Limits,
    encoder: Box<dyn Encoder>,
    /// Number of the next file.
    number: u64,
    open: Option<Open>,
    buffer: Vec<u8>,
}

/// The file that is being written.
struct Open {
    target: Target,
    frames: u64,
    bytes: u64,
    /// Nanoseconds from the first record on, and the last record's time.
    elapsed: u64,
    last: Option<u64>,
}

impl Files {
    /// Begins with the first file.
    pub fn open(
        location: Location,
        existing: Existing,
        limits: Limits,
        encoder: Box<dyn Encoder>,
    ) -> Result<Self, FileError> {
        let number = match existing {
            Existing::Overwrite => 0,
            _ => {
                let taken = location.taken(PART).map_err(FileError::new("list the directory of", &location.path(0)))?;
                taken.last().map_or(0, |n| n.saturating_add(1))
            }
        };
        let mut files = Self { location, existing, limits, encoder, number, open: None, buffer: Vec::new() };
        files.begin()?;
        Ok(files)
    }

    fn begin(&mut self) -> Result<&mut Open, FileError> {
        let numbered = matches!(self.location, Location::Series { .. });
        let existing = if numbered && self.existing == Existing::Append { Existing::Keep } else { self.existing };
        let target = Target::open(&self.location.path(self.number), existing)?;
        self.number = self.number.saturating_add(1);
        self.buffer.clear();
        self.encoder.start(&mut self.buffer);
        let open = self.open.insert(Open { target, frames: 0, bytes: 0, elapsed: 0, last: None });
        open.write(&self.buffer)?;
        Ok(open)
    }

    /// Whether the series is over: the only file is complete.
    pub fn ended(&self) -> bool {
        self.open.is_none() && matches!(self.location, Location::File(_))
    }

    /// Writes a record, to the next file if this one is full. Nothing of it is left in memory.
    pub fn write(&mut self, record: &Record) -> Result<(), FileError> {
        if self.open.as_ref().is_some_and(|o| o.is_full(self.limits, record.pts)) {
            self.finish()?;
        }
        if self.open.is_none() {
            self.begin()?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        self.buffer.clear();
        self.encoder.record(record, &mut self.buffer);
        open.write(&self.buffer)?;
        open.frames += 1;
        open.pass(record.pts);
        Ok(())
    }

    /// Completes the open file, if there is one, and gives it its name.
    pub fn finish(&mut self) -> Result<(), FileError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        self.buffer.clear();
        self.encoder.finish(&mut self.buffer);
        open.write(&self.buffer)?;
        open.target.complete()
    }

    /// Ends where the stream was stopped: a file without a frame is taken away, another one is complete.
    pub fn stop(&mut self) -> Result<(), FileError> {
        match &self.open {
            Some(open) if open.frames == 0 => self.abandon().map(drop),
            _ => self.finish(),
        }
    }

    /// Ends where something went wrong. Returns the name of the incomplete file, if it holds frames; one that holds none
    /// is taken away.
    pub fn abandon(&mut self) -> Result<Option<PathBuf>, FileError> {
        let Some(open) = self.open.take() else { return Ok(None) };
        open.target.abandon(open.frames > 0)
    }
}

impl Open {
    /// One write for a record, so that whole ones are in the file should the program end.
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.bytes += bytes.len() as u64;
        self.target.write(bytes)
    }

    /// Time goes on, from wherever it begins again: playlists and reconnecting sources start at 0 once more.
    fn pass(&mut self, pts: Option<u64>) {
        if let (Some(now), Some(last)) = (pts, self.last) {
            self.elapsed += now.saturating_sub(last);
        }
        self.last = pts.or(self.last);
    }

    fn is_full(&self, limits: Limits, pts: Option<u64>) -> bool {
        let reached = |limit, value| limit != 0 && value >= limit;
        let time = self.elapsed + pts.zip(self.last).map_or(0, |(now, last)| now.saturating_sub(last));
        self.frames > 0
            && (reached(limits.frames, self.frames) || reached(limits.bytes, self.bytes) || reached(limits.time, time))
    }
}
