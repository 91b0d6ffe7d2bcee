//! What the tests of both elements share.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use gst::prelude::*;

pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstdensepose::plugin_register_static().unwrap();
    });
}

/// The directory of the small network with random weights that the zoo exports for these tests.
pub fn tiny_model() -> PathBuf {
    root().join("tests/fixtures/tiny")
}

/// A picture in which the tiny network finds people: width, height and packed RGB.
pub fn tiny_picture() -> (usize, usize, Vec<u8>) {
    let picture = tiny_model().join("picture.png");
    let rgb = image::open(picture).unwrap().to_rgb8();
    (rgb.width() as usize, rgb.height() as usize, rgb.into_raw())
}

/// `densepose` with the tiny network, not yet started, in which frames wait: the source of a harness is live.
pub fn element() -> gst::Element {
    init();
    let model = tiny_model();
    gst::ElementFactory::make("densepose")
        .property("model", model.to_str().unwrap())
        .property("score-threshold", 0.05f64)
        .property("threads", 1u32)
        .property_from_str("mode", "sync")
        .build()
        .unwrap()
}

pub fn caps(format: &str, width: usize, height: usize) -> gst::Caps {
    init();
    gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(25, 1))
        .build()
}

/// A frame of a format, converted by GStreamer from packed RGB.
pub fn frame(format: &str, width: usize, height: usize, rgb: &[u8]) -> gst::Buffer {
    let stride = (width * 3).next_multiple_of(4);
    let mut padded = Vec::with_capacity(stride * height);
    for row in rgb.chunks(width * 3) {
        padded.extend_from_slice(row);
        padded.resize(padded.len().next_multiple_of(stride), 0);
    }
    let source = caps("RGB", width, height);
    let mut h = gst_check::Harness::new_parse("videoconvert dither=none chroma-resampler=0");
    h.set_caps(source, caps(format, width, height));
    h.push(gst::Buffer::from_slice(padded)).unwrap();
    h.pull().unwrap()
}

/// The tiny picture in a format, with its caps.
pub fn tiny_frame(format: &str) -> (gst::Caps, gst::Buffer) {
    let (w, h, rgb) = tiny_picture();
    (caps(format, w, h), frame(format, w, h, &rgb))
}

/// Elements as they are written in a pipeline, in a harness, and the bus on which they post.
pub fn harness_and_bus(description: &str) -> (gst_check::Harness, gst::Bus) {
    init();
    let h = gst_check::Harness::new_parse(description);
    let bus = gst::Bus::new();
    h.element().unwrap().set_bus(Some(&bus));
    (h, bus)
}

/// The texts of all messages of a kind on the bus, debug text included.
pub fn texts(bus: &gst::Bus, kind: gst::MessageType) -> Vec<String> {
    std::iter::from_fn(|| bus.pop_filtered(&[kind]))
        .map(|m| match m.view() {
            gst::MessageView::Error(e) => format!("{} {}", e.error(), e.debug().unwrap_or_default()),
            gst::MessageView::Warning(w) => format!("{} {}", w.error(), w.debug().unwrap_or_default()),
            other => format!("{other:?}"),
        })
        .collect()
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that finds the plugin, with a registry of its own; it is stopped should it hang.
pub fn command(program: &str) -> (Command, tempfile::TempDir) {
    let plugins = plugins();
    (command_with(&plugins, program), plugins)
}

/// A directory with the library that cargo built for this test, and for a registry.
pub fn plugins() -> tempfile::TempDir {
    // It lies beside the test program.
    let built = std::env::current_exe().unwrap().with_file_name("libgstdensepose.so");
    let plugins = tempfile::tempdir().unwrap();
    std::fs::copy(&built, plugins.path().join("libgstdensepose.so")).unwrap_or_else(|e| panic!("{built:?}: {e}"));
    plugins
}

/// The same as [`command`] for several programs that share plugins and registry.
pub fn command_with(plugins: &tempfile::TempDir, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["600", program])
        .current_dir(root())
        .env("GST_PLUGIN_PATH", plugins.path())
        .env("GST_REGISTRY", plugins.path().join("registry.bin"))
        .env("G_DEBUG", "fatal_warnings");
    command
}

/// Runs to the end; its output, both streams.
pub fn output(mut command: Command) -> String {
    let result = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&result.stdout).into_owned() + &String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{command:?} failed:\n{text}");
    text
}
