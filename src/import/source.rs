//! Records found by time or number in files that are read no further than needed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::records::jsonl::{self, Line, Lines};
use crate::records::location::Location;
use crate::records::{self, Record};

mod search;

/// How many records before and beyond a frame are looked at before its own is chosen: encoded video comes in another
/// order than it is shown.
const LOOKAHEAD: usize = 16;
/// A frame that is not among so many next records is far away: its place is searched for.
const NEAR: usize = 64;
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

/// The search was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// A line or file that is left out.
#[derive(Debug)]
pub struct Problem {
    path: PathBuf,
    at: Option<Position>,
    cause: String,
}

/// Where a line is: its number from 1, unless the lines before it were not counted, and the bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    line: Option<u64>,
    offset: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.at {
            Some(Position { line: Some(line), .. }) => write!(f, ", line {line}")?,
            Some(Position { offset, .. }) => write!(f, ", byte {offset}")?,
            None => {}
        }
        write!(f, ": {}", self.cause)
    }
}

/// Which frame is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Number of the clip that the time is in.
    pub clip: u32,
    /// Stream time in nanoseconds.
    pub time: Option<u64>,
    /// Number of the frame.
    pub frame: u64,
    /// How far away the record may be, in nanoseconds; `None` = half the duration.
    pub tolerance: Option<u64>,
    /// Duration of the frame in nanoseconds.
    pub duration: Option<u64>,
}

/// What records are found by: clip and time, or 0 and number of the frame.
type Key = (u32, u64);

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    at: Position,
    duration: Option<u64>,
}

/// Files with records, in order of their clips and times, give or take [`LOOKAHEAD`] records.
pub struct Source {
    files: Vec<PathBuf>,
    /// The file that is being read, and which of `files` it is; none after the last one.
    scan: Option<Lines<BufReader<File>>>,
    scanned: usize,
    /// Whether that file is read from its start, so that the numbers of its lines are known.
    counted: bool,
    /// Whether all lines before those that were read were read, too.
    from_start: bool,
    /// Whether there are records with times.
    timed: bool,
    /// The file of which records are read, and which of `files` it is.
    lookup: Option<(usize, File)>,
    by_time: BTreeMap<Key, Place>,
    by_frame: BTreeMap<Key, Place>,
    /// The last record read; none if it cannot be read.
    last: Option<(Place, Option<Record>)>,
    line: Vec<u8>,
    problems: Vec<Problem>,
    /// Whether it was said that a time is there more than once.
    ambiguous: bool,
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
            counted: true,
            from_start: true,
            timed: false,
            lookup: None,
            by_time: BTreeMap::new(),
            by_frame: BTreeMap::new(),
            last: None,
            line: Vec::new(),
            problems: Vec::new(),
            ambiguous: false,
            files,
        })
    }

    /// What was left out since the last call.
    pub fn problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// The record of a frame, if there is one. Gives up as soon as `stopped` says so.
    pub fn find(&mut self, wanted: &Wanted, stopped: &dyn Fn() -> bool) -> Result<Option<&Record>, Interrupted> {
        self.read_around(wanted, stopped)?;
        let place = match wanted.time {
            Some(time) if self.timed => self.nearest(time, wanted),
            _ => self.by_frame.get(&(0, wanted.frame)).copied(),
        };
        let Some(place) = place else { return Ok(None) };
        if self.last.as_ref().is_none_or(|(p, _)| *p != place) {
            self.last = Some((place, self.read(place)));
        }
        Ok(self.last.as_ref().and_then(|(_, record)| record.as_ref()))
    }

    /// Whether no record of this clip is known, after a search for one.
    pub fn lacks(&self, clip: u32) -> bool {
        self.timed && self.by_time.range((clip, 0)..=(clip, u64::MAX)).next().is_none()
    }

    /// Reads until the records around the frame are known.
    fn read_around(&mut self, wanted: &Wanted, stopped: &dyn Fn() -> bool) -> Result<(), Interrupted> {
        if self.is_before(wanted) {
            self.jump(wanted, stopped)?;
        }
        let (mut lines, mut jumped) = (0, false);
        while !self.is_read_beyond(wanted) && self.scan_line() {
            lines += 1;
            if stopped() {
                return Err(Interrupted);
            }
            if lines == NEAR && !jumped {
                jumped = true;
                self.jump(wanted, stopped)?;
            }
        }
        Ok(())
    }

    /// Starts to read anew shortly before the frame.
    fn jump(&mut self, wanted: &Wanted, stopped: &dyn Fn() -> bool) -> Result<(), Interrupted> {
        let timed = self.timed(wanted);
        let start = search::start(&self.files, self.key(wanted), timed, 2 * LOOKAHEAD, stopped)?;
        // What lies beyond what was read anyway is read on to.
        if !self.is_before(wanted) && (start.file, start.offset) <= (self.scanned, self.offset()) {
            return Ok(());
        }
        let opened = File::open(&self.files[start.file]).and_then(|mut file| {
            file.seek(SeekFrom::Start(start.offset))?;
            Ok(file)
        });
        let Ok(file) = opened else { return Ok(()) };
        self.by_time.clear();
        self.by_frame.clear();
        self.counted = start.offset == 0;
        self.from_start = self.counted && start.file == 0;
        self.scan = Some(Lines::from(BufReader::new(file), start.offset));
        self.scanned = start.file;
        Ok(())
    }

    /// Where the next line is.
    fn offset(&self) -> u64 {
        self.scan.as_ref().map_or(u64::MAX, |scan| scan.offset)
    }

    /// Whether frames are found by their time.
    fn timed(&self, wanted: &Wanted) -> bool {
        wanted.time.is_some() && self.timed
    }

    fn index(&self, wanted: &Wanted) -> &BTreeMap<Key, Place> {
        if self.timed(wanted) { &self.by_time } else { &self.by_frame }
    }

    fn key(&self, wanted: &Wanted) -> Key {
        match wanted.time {
            Some(time) if self.timed(wanted) => (wanted.clip, time),
            _ => (0, wanted.frame),
        }
    }

    /// Whether records before the frame may be missing from what was read.
    fn is_before(&self, wanted: &Wanted) -> bool {
        !self.from_start && self.index(wanted).range(..self.key(wanted)).take(LOOKAHEAD).count() < LOOKAHEAD
    }

    fn is_read_beyond(&self, wanted: &Wanted) -> bool {
        let (clip, n) = self.key(wanted);
        n.checked_add(1).is_some_and(|n| self.index(wanted).range((clip, n)..).take(LOOKAHEAD).count() == LOOKAHEAD)
    }

    fn nearest(&self, time: u64, wanted: &Wanted) -> Option<Place> {
        let clip = wanted.clip;
        let before = self.by_time.range((clip, 0)..=(clip, time)).next_back();
        let after = self.by_time.range((clip, time)..=(clip, u64::MAX)).next();
        let candidates = before.into_iter().chain(after);
        let (pts, place) =
            candidates.map(|((_, pts), place)| (*pts, place)).min_by_key(|(pts, _)| pts.abs_diff(time))?;
        let duration = wanted.duration.or(place.duration).filter(|d| *d > 0);
        let tolerance = wanted.tolerance.or(duration.map(|d| d / 2)).unwrap_or(TOLERANCE);
        (pts.abs_diff(time) <= tolerance).then_some(*place)
    }

    /// Notes where the next record is; `false` where there is none.
    fn scan_line(&mut self) -> bool {
        let Some(scan) = &mut self.scan else { return false };
        let offset = scan.offset;
        let found = scan.next(&mut self.line);
        // A line that cannot be read is not counted.
        let number = scan.number + u64::from(found.is_err());
        let at = Position { line: self.counted.then_some(number), offset };
        match found {
            Ok(Line::End) => self.scan_next_file(),
            Ok(Line::TooLong) => self.leave_out(at, format!("more than {} bytes", jsonl::MAX_LINE)),
            Ok(Line::Read) if self.line.trim_ascii().is_empty() => {}
            Ok(Line::Read) => match jsonl::header(&self.line) {
                Ok(header) => self.note(&header, Place { file: self.scanned, at, duration: header.duration }),
                Err(e) => self.leave_out(at, e.to_string()),
            },
            Err(e) => {
                self.leave_out(at, e.to_string());
                self.scan_next_file();
            }
        }
        true
    }

    /// Notes a record. Of two records of a frame the first counts.
    fn note(&mut self, header: &jsonl::Header, place: Place) {
        let mut repeated = !first(&mut self.by_frame, (0, header.frame), place);
        if let Some(pts) = header.pts {
            self.timed = true;
            repeated = !first(&mut self.by_time, (header.clip, pts), place);
        }
        if repeated && !std::mem::replace(&mut self.ambiguous, true) {
            const CAUSE: &str = "this time was there before, so these are records of several videos or of one written \
                                 twice; the first record of a time counts: write a file for each video";
            self.leave_out(place.at, CAUSE.into());
        }
    }

    fn leave_out(&mut self, at: Position, cause: String) {
        self.problems.push(Problem { path: self.files[self.scanned].clone(), at: Some(at), cause });
    }

    fn scan_next_file(&mut self) {
        self.scan = None;
        while self.scan.is_none() && self.scanned + 1 < self.files.len() {
            self.scanned += 1;
            let path = &self.files[self.scanned];
            match File::open(path) {
                Ok(file) => {
                    self.scan = Some(Lines::new(BufReader::new(file)));
                    self.counted = true;
                }
                Err(e) => self.problems.push(Problem { path: path.clone(), at: None, cause: e.to_string() }),
            }
        }
    }

    /// Reads the record at a place; `None`, and a problem, if it cannot be read.
    fn read(&mut self, place: Place) -> Option<Record> {
        match self.try_read(place) {
            Ok(record) => Some(record),
            Err(cause) => {
                let path = self.files[place.file].clone();
                self.problems.push(Problem { path, at: Some(place.at), cause });
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
        file.seek(SeekFrom::Start(place.at.offset)).map_err(io)?;
        match Lines::new(BufReader::new(file)).next(&mut self.line).map_err(io)? {
            Line::Read => jsonl::parse(&self.line).map_err(|e: records::Error| e.to_string()),
            _ => Err("it has changed meanwhile".into()),
        }
    }
}

/// Whether this is the first record with its key; if so it is noted.
fn first(index: &mut BTreeMap<Key, Place>, key: Key, place: Place) -> bool {
    match index.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(place);
            true
        }
        Entry::Occupied(_) => false,
    }
}

#[cfg(test)]
mod tests;
