//! The plugin as a library file, in the hands of GStreamer's own programs.

mod common;

use std::path::Path;
use std::process::Command;

use common::{command, output};

#[test]
fn gst_inspect_knows_both_elements() {
    for (element, expected) in [("densepose", "score-threshold"), ("densepose-overlay", "palette")] {
        let (mut inspect, _plugins) = command("gst-inspect-1.0");
        inspect.arg(element);
        let text = output(inspect);
        assert!(text.contains(expected) && text.contains("UYVY"), "{text}");
    }
}

#[test]
fn nothing_leaks() {
    let model = common::tiny_model();
    let picture = model.join("picture.png");
    let (mut launch, _plugins) = command("gst-launch-1.0");
    launch.env("GST_TRACERS", "leaks").env("GST_DEBUG", "GST_TRACER:7").env("GST_DEBUG_NO_COLOR", "1");
    let pipeline = format!(
        "filesrc location={} ! pngdec ! imagefreeze num-buffers=10 ! videoconvert ! video/x-raw,format=I420 \
         ! densepose model={} score-threshold=0.05 interval=2 ! tee name=t t. ! queue ! densepose-overlay labels=true boxes=true ! fakesink \
         t. ! queue ! videoscale ! video/x-raw,width=50 ! densepose-overlay ! fakesink",
        picture.display(),
        model.display()
    );
    launch.args(pipeline.split_whitespace());
    let text = output(launch);
    assert!(text.contains("object-alive"), "the tracer describes its records: {text}");
    let leaks: Vec<_> =
        text.lines().filter(|l| l.contains("object-alive, ") && !l.contains("new format string")).collect();
    assert_eq!(leaks, Vec::<&str>::new());
}

/// `scripts/demo.sh`, on the library that cargo built for this test.
fn demo(input: &str, output: &Path) -> (Command, tempfile::TempDir) {
    let (mut demo, target) = command("scripts/demo.sh");
    let library = target.path().join("release/libgstdensepose.so");
    std::fs::create_dir(library.parent().unwrap()).unwrap();
    std::fs::rename(target.path().join("libgstdensepose.so"), library).unwrap();
    let model = format!("model={} interval=5", common::tiny_model().display());
    demo.arg(input).arg(output).env("CARGO_TARGET_DIR", target.path()).env("DENSEPOSE", model);
    demo.env("OVERLAY", "style=contour canvas=gray");
    (demo, target)
}

#[test]
fn the_demo_writes_a_video_and_a_picture() {
    let out = tempfile::tempdir().unwrap();
    let video = out.path().join("a video.mp4");
    let (demo, _target) = demo("", &video);
    let text = output(demo);
    assert!(text.contains("a video.mp4"), "{text}");
    assert!(std::fs::metadata(&video).unwrap().len() > 50_000);
    let picture = image::open(video.with_extension("png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (640, 360));
}

#[test]
fn the_demo_says_what_is_wrong_with_its_input() {
    let out = tempfile::tempdir().unwrap();
    for (input, expected) in [("no such file.mp4", "no such file.mp4"), ("README.md", "failed")] {
        let (mut demo, _target) = demo(input, &out.path().join("out.mp4"));
        let result = demo.output().unwrap();
        let text = String::from_utf8_lossy(&result.stderr).into_owned();
        assert!(!result.status.success() && text.contains(expected), "{input}: {text}");
    }
}
