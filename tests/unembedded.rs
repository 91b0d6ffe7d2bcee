//! The plugin in a build without a network inside: `--no-default-features --features gstreamer`.
#![cfg(not(feature = "embedded-model"))]

use std::path::Path;

use gst::prelude::*;

/// What becomes of a frame by `densepose` with these properties.
fn outcome(properties: &str) -> Result<(), String> {
    gst::init().unwrap();
    gstdensepose::plugin_register_static().unwrap();
    let description =
        format!("videotestsrc num-buffers=1 ! video/x-raw,width=64,height=48 ! densepose {properties} ! fakesink");
    let pipeline = gst::parse::launch(&description).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let wanted = [gst::MessageType::Error, gst::MessageType::Eos];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &wanted);
    pipeline.set_state(gst::State::Null).unwrap();
    match message.expect("the pipeline ends").view() {
        gst::MessageView::Error(error) => Err(format!("{} {:?}", error.error(), error.debug())),
        _ => Ok(()),
    }
}

#[test]
fn the_remedy_is_named_where_no_model_is() {
    let problem = outcome("").unwrap_err();
    for remedy in ["no network is inside this build", "property `model`", "cargo feature `embedded-model`"] {
        assert!(problem.contains(remedy), "{problem}");
    }
}

#[test]
fn a_model_directory_does() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    assert_eq!(outcome(&format!("model={}", tiny.display())), Ok(()));
}
