//! File names with a number in them, as `multifilesink` and `splitmuxsink` take them: `people-%05d.jsonl`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// One file, or a series of numbered files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// One file.
    File(PathBuf),
    /// Files whose name is `before`, a number of at least `digits` digits, and `after`.
    Series { directory: PathBuf, before: String, digits: usize, after: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no usable location: write one number as %d or %05d in the file's name, and %% for a percent sign")]
pub struct Error(String);

impl Location {
    /// Reads a location. A name that is not UTF-8 is one file's: it must hold no percent sign.
    ///
    /// # Errors
    /// For an empty name, and for percent signs that stand for no number.
    pub fn parse(location: impl AsRef<OsStr>) -> Result<Self, Error> {
        let bytes = location.as_ref();
        let error = || Error(bytes.to_string_lossy().into_owned());
        let Some(location) = bytes.to_str() else {
            let numbered = bytes.as_encoded_bytes().contains(&b'%');
            return if numbered { Err(error()) } else { Ok(Self::File(bytes.into())) };
        };
        let mut literals = vec![String::new()];
        let mut digits = None;
        let mut rest = location;
        while let Some((literal, tail)) = rest.split_once('%') {
            let last = literals.len() - 1;
            literals[last].push_str(literal);
            if let Some(tail) = tail.strip_prefix('%') {
                literals[last].push('%');
                rest = tail;
                continue;
            }
            let (width, tail) = tail.split_once('d').ok_or_else(error)?;
            let padded = width.is_empty() || width.starts_with('0') && width.len() <= 3;
            let width = if width.is_empty() { Ok(1) } else { width.parse() };
            if digits.is_some() || !padded {
                return Err(error());
            }
            digits = Some(width.map_err(|_| error())?);
            literals.push(String::new());
            rest = tail;
        }
        let last = literals.len() - 1;
        literals[last].push_str(rest);
        let Some(digits) = digits else {
            return if literals[0].is_empty() { Err(error()) } else { Ok(Self::File(literals.remove(0).into())) };
        };
        let after = literals.remove(1);
        let (directory, before) = match literals[0].rsplit_once('/') {
            Some((directory, before)) => (format!("{directory}/"), before.to_owned()),
            None => (String::new(), literals.remove(0)),
        };
        if after.contains('/') {
            return Err(error());
        }
        Ok(Self::Series { directory: directory.into(), before, digits, after })
    }

    /// The name with a number; the one name where there are no numbers.
    pub fn path(&self, number: u64) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Series { directory, before, digits, after } => {
                directory.join(format!("{before}{number:0digits$}{after}"))
            }
        }
    }

    /// The numbers of this series that are taken in its directory, by files with nothing or `suffix` after the name,
    /// in order.
    pub fn taken(&self, suffix: &str) -> io::Result<Vec<u64>> {
        let Self::Series { directory, .. } = self else { return Ok(Vec::new()) };
        let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(listed)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|n| self.number(n.strip_suffix(suffix).unwrap_or(n))));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The number in a file's name.
    fn number(&self, name: &str) -> Option<u64> {
        let Self::Series { before, digits, after, .. } = self else { return None };
        let number = name.strip_prefix(before)?.strip_suffix(after)?;
        let written_so = number.len() >= *digits && number.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| written_so)?;
        // 00012 is no number of %03d.
        (format!("{before}{number:0digits$}{after}") == name).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        let path = |location: &str, n| Location::parse(location).unwrap().path(n).to_str().unwrap().to_owned();
        assert_eq!(path("a/p-%05d.jsonl", 12), "a/p-00012.jsonl");
        assert_eq!(path("/p%d", 7), "/p7");
        assert_eq!(path("%03d", 1234), "1234");
        assert_eq!(path("50%%.jsonl", 1), "50%.jsonl");
        assert_eq!(path("50%%-%02d%%", 1), "50%-01%");
        for wrong in ["", "%", "%s.jsonl", "%5d", "%d-%d", "%0000d", "%d/a.jsonl", "100%.jsonl", "%-3d", "%0xd"] {
            assert!(Location::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_name_that_is_not_utf8_is_a_file_and_never_a_series() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"caf\xe9.jsonl");
        assert_eq!(Location::parse(name), Ok(Location::File(name.into())));
        assert!(Location::parse(OsStr::from_bytes(b"caf\xe9-%d.jsonl")).is_err());
    }

    #[test]
    fn taken_numbers_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let names =
            ["p-002.j", "p-010.j", "p-1000.j", "p-3.j", "p-0004.j", "p-x.j", "q-005.j", "p-007.j.part", "p-008.txt"];
        names.iter().for_each(|n| std::fs::write(directory.path().join(n), "").unwrap());
        let location = Location::parse(directory.path().join("p-%03d.j").to_str().unwrap()).unwrap();
        assert_eq!(location.taken(".part").unwrap(), [2, 7, 10, 1000]);
        let nowhere = Location::parse(directory.path().join("no/p-%03d.j").to_str().unwrap()).unwrap();
        assert_eq!(nowhere.taken("").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Location::parse("p.j").unwrap().taken("").unwrap(), Vec::<u64>::new());
    }
}
