//! What the input is.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::outcome::Failure;

/// Pictures that a folder of photos may hold, by the end of the name.
const PHOTOS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "ppm", "pgm"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Video(PathBuf),
    Photo(PathBuf),
    Folder(PathBuf),
    Camera(PathBuf),
    /// rtsp://, http:// and whatever else GStreamer opens.
    Address(String),
    /// The elements of a source, as in a pipeline.
    Pipeline(String),
}

impl Input {
    pub fn of(name: &str) -> Result<Self, Failure> {
        if let Some(elements) = name.strip_prefix("pipeline:") {
            return Ok(Self::Pipeline(elements.to_owned()));
        }
        if name.contains("://") {
            return Ok(Self::Address(name.to_owned()));
        }
        let path = PathBuf::from(name);
        let kind = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
        if kind.is_dir() {
            return Ok(Self::Folder(path));
        }
        if !kind.is_file() {
            return Ok(Self::Camera(path));
        }
        let mut start = [0; 16];
        let read = File::open(&path).and_then(|mut file| file.read(&mut start)).map_err(|e| unreadable(&path, &e))?;
        if read == 0 {
            return Err(Failure::failed(format!("'{name}' is empty")));
        }
        Ok(if is_photo(&start[..read]) { Self::Photo(path) } else { Self::Video(path) })
    }

    /// The path of a file that is read.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Video(path) | Self::Photo(path) | Self::Folder(path) => Some(path),
            _ => None,
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let cause = format!("cannot read '{}': {error}", path.display());
    Failure::failed(cause).remedy("INPUT is a video, a photo, a folder of photos, a camera or an address.")
}

/// Whether a file that begins with these bytes is a still picture.
fn is_photo(start: &[u8]) -> bool {
    let webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    let signatures: [&[u8]; 7] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"P6", b"P5"];
    webp || signatures.iter().any(|s| start.starts_with(s))
}

/// The photos of a folder, by name, and how many other files it has.
pub fn photos(folder: &Path) -> Result<(Vec<PathBuf>, usize), Failure> {
    let entries = fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
    let files = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file());
    let is_photo = |path: &PathBuf| extension(path).is_some_and(|e| PHOTOS.contains(&e.as_str()));
    let (mut photos, others): (Vec<_>, Vec<_>) = files.partition(is_photo);
    photos.sort();
    if photos.is_empty() {
        let cause = format!("there is no photo in '{}'", folder.display());
        return Err(Failure::failed(cause).remedy(format!("Photos are files that end in .{}.", PHOTOS.join(", ."))));
    }
    Ok((photos, others.len()))
}

/// The end of a file's name, in small letters.
pub fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_lowercase())
}
