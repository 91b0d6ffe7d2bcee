//! Notes the version for GStreamer and lists the files of `models/default` for `src/estimator/model.rs` to embed.

use std::{env, fs, path::Path};

fn main() {
    gst_plugin_version_helper::info();
    embed_model();
}

/// Writes `embedded_model.rs`: an array of (name, bytes) of the default model, empty where there is none.
fn embed_model() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let directory = Path::new(&root).join("models/default");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut files: Vec<_> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json" || e == "onnx"))
        .collect();
    files.sort();
    if !files.iter().any(|path| path.ends_with("model.json")) {
        println!("cargo::warning=models/default/model.json is missing: this build embeds NO network");
        files.clear();
    }
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
