//! The plugin as a library file, in the hands of GStreamer's own programs.

mod common;

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
