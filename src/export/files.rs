//! Files that appear under their names only when they are complete, one after another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Existing;
use crate::records::location::Location;
use crate::records::{Encoder, Record};

/// What is after the name of a file that is not complete.
const PART: &str = ".part";

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
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a location that may be written to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room, or set location to another disk",
        ErrorKind::AlreadyExists => {
            "set existing=overwrite to replace it, choose another location, or number the files: people-%05d.jsonl"
        }
        _ => "choose another location, or set ignore-errors=true to let the video go on without it",
    }
}

impl FileError {
    fn new<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
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
    file: File,
    path: PathBuf,
    part: PathBuf,
    frames: u64,
    bytes: u64,
    /// Stream time of the first record that has one.
    start: Option<u64>,
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
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
        let path = self.location.path(self.number);
        let part = part(&path);
        let numbered = matches!(self.location, Location::Series { .. });
        let mut options = OpenOptions::new();
        options.write(true);
        let file = match self.existing {
            Existing::Overwrite => {
                options.create(true).truncate(true).open(&part).map_err(FileError::new("create", &part))?
            }
            Existing::Append if !numbered => reopen(&path, &part)?,
            _ if path.exists() => return Err(FileError::new("create", &path)(ErrorKind::AlreadyExists.into())),
            _ => options.create_new(true).open(&part).map_err(FileError::new("create", &part))?,
        };
        self.number = self.number.saturating_add(1);
        self.buffer.clear();
        self.encoder.start(&mut self.buffer);
        let open = self.open.insert(Open { file, path, part, frames: 0, bytes: 0, start: None });
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
        open.start = open.start.or(record.pts);
        Ok(())
    }

    /// Completes the open file, if there is one, and gives it its name.
    pub fn finish(&mut self) -> Result<(), FileError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        self.buffer.clear();
        self.encoder.finish(&mut self.buffer);
        open.write(&self.buffer)?;
        open.file.sync_all().map_err(FileError::new("write", &open.part))?;
        if self.existing != Existing::Overwrite && open.path.exists() {
            return Err(FileError::new("rename its .part to", &open.path)(ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&open.part, &open.path).map_err(FileError::new("rename its .part to", &open.path))
    }

    /// Leaves the open file as it is, with what was written to it.
    pub fn abandon(&mut self) {
        self.open = None;
    }
}

impl Open {
    /// One write for a record, so that whole ones are in the file should the program end.
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(FileError::new("write", &self.part))
    }

    fn is_full(&self, limits: Limits, pts: Option<u64>) -> bool {
        let reached = |limit, value| limit != 0 && value >= limit;
        let time = pts.zip(self.start).map_or(0, |(now, start)| now.saturating_sub(start));
        self.frames > 0
            && (reached(limits.frames, self.frames) || reached(limits.bytes, self.bytes) || reached(limits.time, time))
    }
}

/// Opens a file to add lines to it. It goes by its incomplete name meanwhile, as does what a crash left behind.
fn reopen(path: &Path, part: &Path) -> Result<File, FileError> {
    if path.exists() {
        if part.exists() {
            // Which of the two holds what is not for us to decide.
            return Err(FileError::new("append to", part)(ErrorKind::AlreadyExists.into()));
        }
        fs::rename(path, part).map_err(FileError::new("rename", path))?;
    }
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).append(true).create(true).open(part).map_err(FileError::new("append to", part))?;
    end_line(&mut file).map_err(FileError::new("append to", part))?;
    Ok(file)
}

/// Ends a line that was cut off, so that it spoils no other.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}
