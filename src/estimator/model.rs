//! A model's files: manifest and networks, from a directory or from inside the library.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::error::{Error, Result};
use super::manifest::{Manifest, Stage};

/// The manifest's file name.
pub const MANIFEST: &str = "model.json";

/// Name and bytes of the files of `models/default`, collected by `build.rs`.
static EMBEDDED: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/embedded_model.rs"));

/// A model that was read and found whole: manifest checked, checksums right. Its networks are not loaded yet.
#[derive(Clone, Debug)]
pub struct Model {
    manifest: Manifest,
    trunk: File,
    box_head: File,
    densepose_head: File,
}

/// SHA-256 of a file's bytes.
pub type Digest = [u8; 32];

/// Bytes of one ONNX file, and what to call it in errors.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub bytes: Cow<'static, [u8]>,
    pub digest: Digest,
}

impl File {
    pub(super) fn new(name: String, bytes: Cow<'static, [u8]>) -> Self {
        Self { digest: Sha256::digest(&bytes).into(), name, bytes }
    }

    /// Reads the file at `path`.
    #[cfg(test)]
    pub fn open(path: &str) -> Self {
        Self::new(path.into(), std::fs::read(path).unwrap().into())
    }
}

impl Model {
    /// Reads the model in `directory`.
    ///
    /// # Errors
    /// Where a file is missing, damaged or says what cannot be; the message names file, cause and remedy.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::load(&Source::Directory(directory.as_ref().to_path_buf()))
    }

    /// The model whose files are in memory: name, as the manifest has it, and content, `model.json` among them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_files(files: Vec<(String, Vec<u8>)>) -> Result<Self> {
        Self::load(&Source::Memory(files))
    }

    /// The network inside the library.
    ///
    /// # Errors
    /// Where the library was compiled without one (without the cargo feature `embedded-model`).
    pub fn embedded() -> Result<Self> {
        // It does not change: once read and found whole is enough for a process.
        static READ: OnceLock<Model> = OnceLock::new();
        match READ.get() {
            Some(model) => Ok(model.clone()),
            None => Self::load(&Source::Embedded(EMBEDDED)).map(|model| READ.get_or_init(|| model).clone()),
        }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn trunk(&self) -> &File {
        &self.trunk
    }

    pub(super) fn box_head(&self) -> &File {
        &self.box_head
    }

    pub(super) fn densepose_head(&self) -> &File {
        &self.densepose_head
    }

    fn load(source: &Source) -> Result<Self> {
        let json = source.read(MANIFEST)?;
        let manifest = Manifest::parse(&json.name, &json.bytes)?;
        let stage = |stage: &Stage| -> Result<File> {
            let file = source.read(&stage.file)?;
            let actual = hex(&file.digest);
            if !actual.eq_ignore_ascii_case(&stage.sha256) {
                return Err(Error::Checksum { file: file.name, expected: stage.sha256.clone(), actual });
            }
            Ok(file)
        };
        Ok(Self {
            trunk: stage(&manifest.stages.trunk)?,
            box_head: stage(&manifest.stages.box_head)?,
            densepose_head: stage(&manifest.stages.densepose_head)?,
            manifest,
        })
    }
}

/// Where files come from.
enum Source {
    Directory(PathBuf),
    Memory(Vec<(String, Vec<u8>)>),
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl Source {
    fn read(&self, file: &str) -> Result<File> {
        match self {
            Self::Directory(directory) => {
                let path = directory.join(file);
                let name = path.display().to_string();
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(File::new(name, bytes.into())),
                    Err(source) => Err(Error::Read { file: name, source }),
                }
            }
            Self::Memory(files) => match files.iter().find(|(name, _)| name == file) {
                Some((name, bytes)) => Ok(File::new(name.clone(), bytes.clone().into())),
                None => Err(Error::Read { file: file.into(), source: std::io::ErrorKind::NotFound.into() }),
            },
            Self::Embedded(files) => match files.iter().find(|(name, _)| *name == file) {
                Some(&(name, bytes)) => Ok(File::new(format!("embedded {name}"), bytes.into())),
                None => Err(Error::NotEmbedded),
            },
        }
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_memory_are_as_good_as_a_directory() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
        let names = [MANIFEST, "trunk.onnx", "box_head.onnx", "densepose_head.onnx"];
        let mut files = names.map(|name| (name.to_string(), std::fs::read(directory.join(name)).unwrap())).to_vec();
        let model = Model::from_files(files.clone()).unwrap();
        assert_eq!(model.trunk().bytes, Model::open(&directory).unwrap().trunk().bytes);
        files.pop();
        let problem = Model::from_files(files.clone()).unwrap_err().to_string();
        assert!(problem.contains("cannot read densepose_head.onnx"), "{problem}");
        files[1].1[100] ^= 1;
        assert!(matches!(Model::from_files(files).unwrap_err(), Error::Checksum { file, .. } if file == "trunk.onnx"));
    }

    #[test]
    #[cfg(feature = "embedded-model")]
    fn a_network_is_inside() {
        assert!(Model::embedded().unwrap().manifest().licence.contains("non-commercial"));
    }

    #[test]
    #[cfg(not(feature = "embedded-model"))]
    fn without_a_network_inside_the_remedy_is_named() {
        let problem = Model::embedded().unwrap_err().to_string();
        assert!(problem.contains("a model directory") && problem.contains("`embedded-model`"), "{problem}");
    }
}
