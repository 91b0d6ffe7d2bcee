//! Where to begin to read for a record far away: a binary search over files that are sorted, more or less.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Interrupted, Key};
use crate::records::jsonl::{self, Line, Lines};

/// Bytes that are read through, not searched.
const SHORT: u64 = 1 << 16;

/// The start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub file: usize,
    pub offset: u64,
}

/// A line at least `lines` lines before the first record whose key is not less than `wanted`; the start of the first
/// file where there are not as many. Records have keys by time if `timed`, by number otherwise. Files that cannot be
/// read are as good as empty.
pub fn start(
    files: &[PathBuf],
    wanted: Key,
    timed: bool,
    lines: usize,
    stopped: &dyn Fn() -> bool,
) -> Result<Start, Interrupted> {
    let search = Search { wanted, timed, stopped };
    let file = search.file(files)?;
    let offset = search.offset(&files[file])?;
    search.before(files, Start { file, offset }, lines)
}

struct Search<'a> {
    wanted: Key,
    timed: bool,
    stopped: &'a dyn Fn() -> bool,
}

impl Search<'_> {
    /// The last file that begins before the key; the first one if none does.
    fn file(&self, files: &[PathBuf]) -> Result<usize, Interrupted> {
        let (mut low, mut high) = (0, files.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let mut lines = File::open(&files[middle]).map(|file| Lines::new(BufReader::new(file)));
            let first = match &mut lines {
                Ok(lines) => self.next_key(lines, u64::MAX)?,
                Err(_) => None,
            };
            if first.is_none_or(|(_, key)| key < self.wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// A line before which all keys are less, shortly before the first that is not.
    fn offset(&self, path: &Path) -> Result<u64, Interrupted> {
        let Ok((mut low, mut high)) = path.metadata().map(|m| (0, m.len())) else { return Ok(0) };
        while high - low > SHORT {
            let middle = low + (high - low) / 2;
            let probe = match lines_after(path, middle) {
                Ok(mut lines) => self.next_key(&mut lines, high)?,
                Err(_) => return Ok(low),
            };
            match probe {
                Some((offset, key)) if key < self.wanted => low = offset,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The next record with a key that begins before byte `end`, and where it does.
    fn next_key<R: io::BufRead>(&self, lines: &mut Lines<R>, end: u64) -> Result<Option<(u64, Key)>, Interrupted> {
        let mut line = Vec::new();
        while lines.offset < end {
            if (self.stopped)() {
                return Err(Interrupted);
            }
            let offset = lines.offset;
            match lines.next(&mut line) {
                Ok(Line::Read) => {}
                Ok(Line::TooLong) => continue,
                Ok(Line::End) | Err(_) => return Ok(None),
            }
            let key = jsonl::header(&line).ok().and_then(|header| match self.timed {
                true => header.pts.map(|pts| (header.clip, pts)),
                false => Some((0, header.frame)),
            });
            if let Some(key) = key {
                return Ok(Some((offset, key)));
            }
        }
        Ok(None)
    }

    /// So many lines before a line, in the files before its own where it has too few.
    fn before(&self, files: &[PathBuf], from: Start, mut lines: usize) -> Result<Start, Interrupted> {
        let Start { mut file, mut offset } = from;
        loop {
            let (found, missing) = match File::open(&files[file]) {
                Ok(opened) => self.lines_before(opened, offset, lines)?,
                Err(_) => (0, lines),
            };
            if missing == 0 || file == 0 {
                return Ok(Start { file, offset: found });
            }
            lines = missing;
            file -= 1;
            offset = files[file].metadata().map_or(0, |m| m.len());
        }
    }

    /// The start of the line so many lines before `end`, where a line starts, and how many lines there were too few.
    fn lines_before(&self, mut file: File, end: u64, lines: usize) -> Result<(u64, usize), Interrupted> {
        let (mut at, mut missing) = (end, lines);
        let mut block = vec![0; SHORT as usize];
        while at > 0 && missing > 0 {
            if (self.stopped)() {
                return Err(Interrupted);
            }
            let length = at.min(SHORT);
            let block = &mut block[..length as usize];
            let read = file.seek(SeekFrom::Start(at - length)).and_then(|_| file.read_exact(block));
            if read.is_err() {
                return Ok((0, missing));
            }
            // The line break right before `end` ends the line before it.
            let ends =
                block.iter().enumerate().rev().filter(|(i, b)| **b == b'\n' && at - length + *i as u64 + 1 < end);
            for (i, _) in ends {
                missing -= 1;
                if missing == 0 {
                    return Ok((at - length + i as u64 + 1, 0));
                }
            }
            at -= length;
        }
        // The first line of the file has no line break before it.
        Ok((at, if end > 0 { missing.saturating_sub(1) } else { missing }))
    }
}

/// The lines that begin after a byte.
fn lines_after(path: &Path, offset: u64) -> io::Result<Lines<BufReader<File>>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut lines = Lines::from(BufReader::new(file), offset);
    lines.next(&mut Vec::new())?;
    Ok(lines)
}
