//! What runs the networks: tract, or ONNX Runtime on the hardware that it supports.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Result};

/// The runtime that the networks run in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// tract, which is part of this library: on the CPU, nothing to install.
    #[default]
    Tract,
    /// ONNX Runtime 1.17 or newer, in builds with the cargo feature `onnxruntime`. Its shared library is loaded with
    /// the process' first model: the file that the environment variable `ORT_DYLIB_PATH` names, else
    /// `libonnxruntime.so` (or what the system calls it) where the system looks for libraries.
    OnnxRuntime {
        /// Execution providers, best first: each operator runs on the first that can, on the CPU if none can.
        providers: Vec<Provider>,
    },
}

/// What ONNX Runtime calls an execution provider: hardware, or a library for some hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    Acl,
    Cann,
    CoreMl,
    Cpu,
    Cuda,
    DirectMl,
    MiGraphX,
    Nnapi,
    OneDnn,
    OpenVino,
    Qnn,
    Rocm,
    TensorRt,
    Xnnpack,
}

impl Backend {
    /// Whether it computes on threads of its own, not on ours.
    pub(super) fn has_threads(&self) -> bool {
        matches!(self, Self::OnnxRuntime { .. })
    }
}

impl Provider {
    /// Every provider, by name.
    pub const ALL: [Self; 14] = [
        Self::Acl,
        Self::Cann,
        Self::CoreMl,
        Self::Cpu,
        Self::Cuda,
        Self::DirectMl,
        Self::MiGraphX,
        Self::Nnapi,
        Self::OneDnn,
        Self::OpenVino,
        Self::Qnn,
        Self::Rocm,
        Self::TensorRt,
        Self::Xnnpack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Cann => "cann",
            Self::CoreMl => "coreml",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::DirectMl => "directml",
            Self::MiGraphX => "migraphx",
            Self::Nnapi => "nnapi",
            Self::OneDnn => "onednn",
            Self::OpenVino => "openvino",
            Self::Qnn => "qnn",
            Self::Rocm => "rocm",
            Self::TensorRt => "tensorrt",
            Self::Xnnpack => "xnnpack",
        }
    }

    /// The providers in a list of names like `tensorrt,cuda`, in its order; an empty one has none.
    ///
    /// # Errors
    /// Where a name is not known.
    pub fn list(names: &str) -> Result<Vec<Self>> {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|provider| provider.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| Error::UnknownProvider { name: name.into(), known: names(&Self::ALL) })
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The opposite of [`Provider::list`].
pub(super) fn names(providers: &[Provider]) -> String {
    providers.iter().map(|provider| provider.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_and_names_the_unknown() {
        use Provider::*;
        for (text, expected) in [
            ("", &[][..]),
            (" , ", &[]),
            ("cpu", &[Cpu]),
            ("TensorRT, cuda,cpu", &[TensorRt, Cuda, Cpu]),
            (&names(&Provider::ALL), &Provider::ALL),
        ] {
            assert_eq!(Provider::list(text).unwrap(), expected, "{text:?}");
        }
        let problem = Provider::list("cpu,gpu").unwrap_err().to_string();
        assert!(problem.contains("\"gpu\"") && problem.contains("cuda, directml"), "{problem}");
    }
}
