//! Notes the version for GStreamer and lists the files of `models/default` for `src/estimator/model.rs` to embed.

use std::{env, fs, path::Path};

fn main() {
    #[cfg(feature = "gstreamer")]
    gst_plugin_version_helper::info();
    embed_model();
    strip_library();
}

/// Symbols are a sixth of the plugin, and of no use to who runs it; programs and tests keep theirs for backtraces.
fn strip_library() {
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-s");
    }
}

/// Writes `embedded_model.rs`: an array of (name, bytes) of the default model, empty where there is none or none is
/// wanted. `PLUGIN_DESCRIPTION` says on what terms code and network may be used.
fn embed_model() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let directory = Path::new(&root).join("models/default");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", directory.display());
    let wanted = env::var_os("CARGO_FEATURE_EMBEDDED_MODEL").is_some();
    let mut files: Vec<_> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json" || e == "onnx"))
        .collect();
    files.sort();
    let manifest = files.iter().find(|path| path.ends_with("model.json"));
    let manifest = manifest.filter(|_| wanted).and_then(|path| fs::read_to_string(path).ok());
    if manifest.is_none() {
        if wanted {
            println!("cargo::warning=models/default/model.json is missing: this build embeds NO network");
        }
        files.clear();
    }
    describe(manifest.as_deref());
    let entries: String = files
        .iter()
        .map(|path| {
            let name = path.file_name().expect("a file of a directory").to_string_lossy().into_owned();
            format!("    ({name:?}, include_bytes!({:?}) as &[u8]),\n", path.display().to_string())
        })
        .collect();
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("embedded_model.rs");
    fs::write(out, format!("[\n{entries}]\n")).expect("OUT_DIR is writable");
}

/// The plugin's description: GStreamer's licence field has one name for all, so this says what it cannot.
fn describe(manifest: Option<&str>) {
    let description = env::var("CARGO_PKG_DESCRIPTION").expect("set by cargo");
    let code = env::var("CARGO_PKG_LICENSE").expect("set by cargo");
    let licence = manifest.and_then(|json| json.split_once("\"licence\": \"")?.1.split_once('"'));
    let network = match (manifest, licence) {
        (None, _) => "no network inside".to_string(),
        (Some(_), Some((licence, _))) => format!("network inside: {licence}"),
        (Some(_), None) => "network inside: no licence".to_string(),
    };
    println!("cargo::rustc-env=PLUGIN_DESCRIPTION={description} (code: {code}; {network})");
}
