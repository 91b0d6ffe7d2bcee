//! Records found by time or number in files that are read no further than needed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::records::jsonl::{self, Line, Lines};
use crate::records::location::Location;
use crate::records::{self, Record};

/// How many records beyond a frame are looked at before its own is chosen: encoded video comes in another order than
/// it is shown.
const LOOKAHEAD: usize = 16;
/// Tolerance where neither the frame nor the record says how long it lasts, in nanoseconds.
const TOLERANCE: u64 = 20_000_000;

/// A file that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open {path}: {source}; set location to a file that densepose-export format=jsonl wrote")]
    Open { path: String, source: io::Error },
    #[error("{0} is not a regular file, in which records can be looked up; copy it to one")]
    NotAFile(String),
    #[error("no file is named like {0}; set location to the name that densepose-export had")]
    Nothing(String),
}

/// A line or file that is left out.
#[derive(Debug)]
pub struct Problem {
    path: PathBuf,
    line: Option<u64>,
    cause: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

/// Which frame is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Stream time in nanoseconds.
    pub time: Option<u64>,
    /// Number of the frame.
    pub frame: u64,
    /// How far away the record may be, in nanoseconds; `None` = half the duration.
    pub tolerance: Option<u64>,
    /// Duration of the frame in nanoseconds.
    pub duration: Option<u64>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    offset: u64,
    line: u64,
    duration: Option<u64>,
}

/// Files with records, in order.
pub struct Source {
    files: Vec<PathBuf>,
    /// The file that is being read for the first time, and which of `files` it is.
    scan: Option<Lines<BufReader<File>>>,
    scanned: usize,
    /// The file of which records are read, and which of `files` it is.
    lookup: Option<(usize, File)>,
    by_time: BTreeMap<u64, Place>,
    by_frame: BTreeMap<u64, Place>,
    /// The last record read; none if it cannot be read.
    last: Option<(Place, Option<Record>)>,
    line: Vec<u8>,
    problems: Vec<Problem>,
}

impl Source {
    /// Opens the file or the first of the series.
    pub fn open(location: &Location) -> Result<Self, OpenError> {
        let open_error = |path: &Path| {
            let path = path.display().to_string();
            move |source| OpenError::Open { path, source }
        };
        let files: Vec<_> = match location {
            Location::File(path) => vec![path.clone()],
            Location::Series { .. } => {
                let taken = location.taken("").map_err(open_error(&location.path(0)))?;
                taken.into_iter().map(|n| location.path(n)).collect()
            }
        };
        let first = files.first().ok_or_else(|| OpenError::Nothing(location.path(0).display().to_string()))?;
        // Before it is opened: to open a pipe may take for ever.
        if !first.metadata().map_err(open_error(first))?.is_file() {
            return Err(OpenError::NotAFile(first.display().to_string()));
        }
        let opened = File::open(first).map_err(open_error(first))?;
        Ok(Self {
            scan: Some(Lines::new(BufReader::new(opened))),
            scanned: 0,
            lookup: None,
            by_time: BTreeMap::new(),
            by_frame: BTreeMap::new(),
            last: None,
            line: Vec::new(),
            problems: Vec::new(),
            files,
        })
    }

    /// What was left out since the last call.
    pub fn problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// The record of a frame, if there is one.
    pub fn find(&mut self, wanted: &Wanted) -> Option<&Record> {
        while !self.is_read_beyond(wanted) && self.scan_line() {}
        let place = match wanted.time {
            Some(time) if !self.by_time.is_empty() => self.nearest(time, wanted)?,
            _ => *self.by_frame.get(&wanted.frame)?,
        };
        if self.last.as_ref().is_none_or(|(p, _)| *p != place) {
            self.last = Some((place, self.read(place)));
        }
        self.last.as_ref()?.1.as_ref()
    }

    fn is_read_beyond(&self, wanted: &Wanted) -> bool {
        let after = |index: &BTreeMap<u64, Place>, n: u64| {
            n.checked_add(1).is_some_and(|n| index.range(n..).take(LOOKAHEAD).count() == LOOKAHEAD)
        };
        match wanted.time {
            Some(time) if !self.by_time.is_empty() => after(&self.by_time, time),
            _ => after(&self.by_frame, wanted.frame),
        }
    }

    fn nearest(&self, time: u64, wanted: &Wanted) -> Option<Place> {
        let before = self.by_time.range(..=time).next_back();
        let after = self.by_time.range(time..).next();
        let (pts, place) = before.into_iter().chain(after).min_by_key(|(pts, _)| pts.abs_diff(time))?;
        let duration = wanted.duration.or(place.duration).filter(|d| *d > 0);
        let tolerance = wanted.tolerance.or(duration.map(|d| d / 2)).unwrap_or(TOLERANCE);
        (pts.abs_diff(time) <= tolerance).then_some(*place)
    }

    /// Notes where the next record is; `false` where there is none.
    fn scan_line(&mut self) -> bool {
        let Some(scan) = &mut self.scan else { return false };
        let offset = scan.offset;
        let found = scan.next(&mut self.line);
        let line = scan.number;
        match found {
            Ok(Line::End) => self.scan_next_file(),
            Ok(Line::TooLong) => self.leave_out(line, format!("more than {} bytes", jsonl::MAX_LINE)),
            Ok(Line::Read) if self.line.trim_ascii().is_empty() => {}
            Ok(Line::Read) => match jsonl::header(&self.line) {
                Ok(header) => {
                    let place = Place { file: self.scanned, offset, line, duration: header.duration };
                    // Of two records of a frame the first counts.
                    if let Some(pts) = header.pts {
                        self.by_time.entry(pts).or_insert(place);
                    }
                    self.by_frame.entry(header.frame).or_insert(place);
                }
                Err(e) => self.leave_out(line, e.to_string()),
            },
            Err(e) => {
                self.leave_out(line + 1, e.to_string());
                self.scan_next_file();
            }
        }
        true
    }

    fn leave_out(&mut self, line: u64, cause: String) {
        self.problems.push(Problem { path: self.files[self.scanned].clone(), line: Some(line), cause });
    }

    fn scan_next_file(&mut self) {
        self.scan = None;
        while self.scan.is_none() && self.scanned + 1 < self.files.len() {
            self.scanned += 1;
            let path = &self.files[self.scanned];
            match File::open(path) {
                Ok(file) => self.scan = Some(Lines::new(BufReader::new(file))),
                Err(e) => self.problems.push(Problem { path: path.clone(), line: None, cause: e.to_string() }),
            }
        }
    }

    /// Reads the record at a place; `None`, and a problem, if it cannot be read.
    fn read(&mut self, place: Place) -> Option<Record> {
        match self.try_read(place) {
            Ok(record) => Some(record),
            Err(cause) => {
                let path = self.files[place.file].clone();
                self.problems.push(Problem { path, line: Some(place.line), cause });
                None
            }
        }
    }

    fn try_read(&mut self, place: Place) -> Result<Record, String> {
        let io = |e: io::Error| e.to_string();
        if self.lookup.as_ref().is_none_or(|(file, _)| *file != place.file) {
            self.lookup = Some((place.file, File::open(&self.files[place.file]).map_err(io)?));
        }
        let Some((_, file)) = &mut self.lookup else { return Err("it is gone".into()) };
        file.seek(SeekFrom::Start(place.offset)).map_err(io)?;
        match Lines::new(BufReader::new(file)).next(&mut self.line).map_err(io)? {
            Line::Read => jsonl::parse(&self.line).map_err(|e: records::Error| e.to_string()),
            _ => Err("it has changed meanwhile".into()),
        }
    }
}

#[cfg(test)]
mod tests;
