//! What can go wrong between a model's files and a frame's people, each with what to do about it.

use std::io;

use crate::image::ImageError;

/// Why a model cannot be used or a frame not be estimated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model file is missing or unreadable.
    #[error("cannot read {file}: {source}; a model is a directory with model.json and the ONNX files it names")]
    Read { file: String, source: io::Error },

    /// The library was compiled without `models/default`.
    #[error(
        "no network is embedded in this build, since models/default was missing when it was compiled; \
         name a model directory, or restore models/default and build again"
    )]
    NotEmbedded,

    /// The manifest is no JSON, or a field is missing or of the wrong type.
    #[error("{file} is not a model manifest: {source}; export the model again or correct the file")]
    Json { file: String, source: serde_json::Error },

    /// The manifest says something that cannot be.
    #[error("{file}: {field} {problem}; export the model again or correct the file")]
    Manifest { file: String, field: String, problem: String },

    /// The model is one of continuous surface embeddings.
    #[error(
        "{file}: the model puts out embeddings of the body's surface, which are no body parts without those of the \
         body's vertices; take a model with charts (fine, u and v)"
    )]
    Embedding { file: String },

    /// A stage's file is not the one the manifest was written for.
    #[error(
        "{file} has the SHA-256 {actual}, but the manifest expects {expected}: \
         the file is damaged or from another export; copy the whole model directory again"
    )]
    Checksum { file: String, expected: String, actual: String },

    /// A stage's file is no usable ONNX network, or does not fit the manifest.
    #[error("{file}: {problem}; export the model again, with files and manifest from the same run")]
    Network { file: String, problem: String },

    /// A network failed on a frame.
    #[error("{file} failed while running: {problem}; try another short side or model")]
    Run { file: String, problem: String },

    /// The system gives no more threads.
    #[error("cannot start {count} threads: {problem}; ask for fewer")]
    Threads { count: usize, problem: String },

    /// The picture is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Shorthand for results of this module.
pub type Result<T> = std::result::Result<T, Error>;
