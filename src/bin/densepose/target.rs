//! Files that get their name only when they are whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::outcome::{Failure, Kind};

/// A file or folder to write: under the name `part()` until `finish()`; dropped before, it is taken away again.
#[derive(Debug)]
pub struct Target {
    /// As the user wrote it.
    name: PathBuf,
    /// The file itself, behind symlinks.
    place: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl Target {
    /// Refuses what is there already unless `force`; makes the folders above. A symlink's own target is replaced.
    pub fn new(name: &Path, force: bool) -> Result<Self, Failure> {
        let place = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        if let Ok(there) = fs::metadata(&place) {
            if !force {
                let cause = format!("'{}' is there already", name.display());
                return Err(Failure::new(Kind::Exists, cause).remedy("Choose another name, or replace it by --force."));
            }
            if !there.is_file() {
                return Err(Failure::usage(format!("'{}' is no file that could be replaced", name.display())));
            }
        }
        make_folder(place.parent())?;
        let mut part = place.clone().into_os_string();
        part.push(".part");
        Ok(Self { name: name.to_owned(), place, part: part.into(), finished: false })
    }

    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Where to write.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<PathBuf, Failure> {
        fs::rename(&self.part, &self.place)
            .map_err(|e| Failure::failed(format!("cannot rename '{}': {e}", self.part.display())))?;
        self.finished = true;
        Ok(self.name.clone())
    }

    /// Leaves what was written under the name of the part.
    pub fn keep(mut self) -> PathBuf {
        self.finished = true;
        self.part.clone()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Makes a folder and those above it.
pub fn make_folder(folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder.filter(|f| !f.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder)
        .map_err(|e| Failure::failed(format!("cannot make the folder '{}': {e}", folder.display())))
}
