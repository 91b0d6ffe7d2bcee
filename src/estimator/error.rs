//! What can go wrong between a model's files and a frame's people, each with what to do about it.

use std::io;

use super::backend::Provider;
use crate::image::ImageError;

/// Why a model cannot be used or a frame not be estimated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model file is missing or unreadable.
    #[error("cannot read {file}: {source}; a model is a directory with model.json and the ONNX files it names")]
    Read { file: String, source: io::Error },

    /// The library was compiled without the cargo feature `embedded-model`, or without `models/default`.
    #[error(
        "no network is inside this build; name a model directory (property `model`), such as models/default of the \
         sources, or build again with models/default and the cargo feature `embedded-model`"
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

    /// The networks were to run in ONNX Runtime, for which the library was not compiled.
    #[error(
        "this build runs networks by tract only; choose tract, or build again with \
         `cargo build --release --features onnxruntime`"
    )]
    NoOnnxRuntime,

    /// ONNX Runtime's library is not there, or not what it should be.
    #[error(
        "cannot load ONNX Runtime: {problem}; install version 1.17 or newer (`pip install onnxruntime`) and set the \
         environment variable ORT_DYLIB_PATH to the library's path (.../onnxruntime/capi/libonnxruntime.so.*)"
    )]
    Library { problem: String },

    /// A name that no execution provider has.
    #[error("there is no execution provider \"{name}\"; known are {known}")]
    UnknownProvider { name: String, known: String },

    /// An execution provider cannot be used with the library that was loaded, or on this machine.
    #[error(
        "ONNX Runtime cannot run on {provider}: {problem}; choose another execution provider, or set the environment \
         variable ORT_DYLIB_PATH to a library with this one (PyPI's onnxruntime-gpu has cuda and tensorrt), and \
         install what it needs"
    )]
    Provider { provider: Provider, problem: String },

    /// The system gives no more threads.
    #[error("cannot start {count} threads: {problem}; ask for fewer")]
    Threads { count: usize, problem: String },

    /// The picture is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Shorthand for results of this module.
pub type Result<T> = std::result::Result<T, Error>;
