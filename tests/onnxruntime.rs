//! ONNX Runtime as a backend: what is said where it cannot be used and, in builds with it, that it finds the people
//! that tract finds. Then `ORT_DYLIB_PATH` must name its library (`make test-backend`), and `tests/estimator.rs` runs on
//! it, too.

mod common;

use common::texts;
use gst::prelude::*;
use gstdensepose::estimator::Provider;

/// The element's errors when it is started with these properties.
fn errors(backend: &str, providers: &str) -> String {
    let element = common::element();
    element.set_property_from_str("backend", backend);
    element.set_property("execution-providers", providers);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let started = element.set_state(gst::State::Paused);
    let errors = texts(&bus, gst::MessageType::Error).concat();
    assert_eq!(started.is_err(), !errors.is_empty(), "{errors}");
    element.set_state(gst::State::Null).unwrap();
    element.set_bus(None);
    errors
}

#[test]
fn unknown_providers_are_refused_and_the_known_listed() {
    for backend in ["tract", "onnxruntime"] {
        let errors = errors(backend, "cuda,gpu");
        assert!(errors.contains("\"gpu\"") && errors.contains("cpu, cuda, directml"), "{errors}");
    }
}

#[test]
fn providers_without_onnxruntime_are_refused() {
    let errors = errors("tract", "cuda");
    assert!(errors.contains("cuda") && errors.contains("backend=onnxruntime"), "{errors}");
}

#[test]
fn the_page_lists_every_provider() {
    let page = std::fs::read_to_string(common::root().join("docs/densepose.md")).unwrap();
    let list: String =
        page.split("`execution-providers` is a list of:").nth(1).unwrap().split('.').next().unwrap().into();
    assert_eq!(Provider::list(&list.replace(['`', '\n'], " ").replace(' ', "")).unwrap(), Provider::ALL);
}

#[cfg(not(feature = "onnxruntime"))]
#[test]
fn a_build_without_it_says_how_to_build_with_it() {
    assert_eq!(errors("tract", ""), "");
    let errors = errors("onnxruntime", "");
    assert!(errors.contains("cargo build --release --features onnxruntime"), "{errors}");
}

#[cfg(feature = "onnxruntime")]
mod built {
    use common::{command, tiny_model, tiny_picture};
    use gstdensepose::estimator::{Backend, Estimator, Model, Options};
    use gstdensepose::image::Image;
    use gstdensepose::person::Person;

    use super::*;

    fn onnxruntime(names: &str) -> Backend {
        Backend::OnnxRuntime { providers: Provider::list(names).unwrap() }
    }

    /// The people in the fixture's picture.
    fn persons(backend: &Backend, options: Options) -> Vec<Person> {
        let (width, height, rgb) = tiny_picture();
        let mut estimator = Estimator::with_backend(&Model::open(tiny_model()).unwrap(), options, backend).unwrap();
        // Of another size before, since runs must not leave anything behind.
        estimator.estimate(&Image::rgb(64, 48, &[90; 64 * 48 * 3]).unwrap()).unwrap();
        estimator.estimate(&Image::rgb(width, height, &rgb).unwrap()).unwrap()
    }

    /// Share of pixels of the same part, and the greatest difference of U and V there.
    fn compare(a: &Person, b: &Person) -> (f64, u8) {
        let pairs = a.iuv.data().chunks(3).zip(b.iuv.data().chunks(3));
        let same: Vec<_> = pairs.filter(|(a, b)| a[0] == b[0]).collect();
        let off = same.iter().flat_map(|(a, b)| [a[1].abs_diff(b[1]), a[2].abs_diff(b[2])]).max();
        (same.len() as f64 * 3.0 / a.iuv.data().len() as f64, off.unwrap_or(0))
    }

    #[test]
    fn both_backends_find_the_same_people() {
        for (threads, providers) in [(1, ""), (2, "cpu")] {
            let options = Options { threads, ..Options::default() };
            let expected = persons(&Backend::Tract, options);
            let found = persons(&onnxruntime(providers), options);
            assert!(expected.len() > 1);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found.score - expected.score).abs() < 1e-4);
                let place = |p: &Person| (p.x, p.y, p.width(), p.height());
                assert_eq!(place(found), place(expected));
                let (same, off) = compare(found, expected);
                assert!(same > 0.999 && off <= 1, "{same} of the parts are the same, U and V off by {off}");
            }
        }
    }

    #[test]
    fn the_element_runs_with_it() {
        let element = common::element();
        element.set_property_from_str("backend", "onnxruntime");
        element.set_property("execution-providers", "cpu");
        let mut harness = gst_check::Harness::with_element(&element, Some("sink"), Some("src"));
        let (caps, frame) = common::tiny_frame("I420");
        harness.set_src_caps(caps);
        harness.push(frame).unwrap();
        let persons = gstdensepose::meta::read(&harness.pull().unwrap()).unwrap().persons;
        assert!(!persons.is_empty());
    }

    #[test]
    fn a_provider_that_the_library_lacks_is_refused() {
        let errors = errors("onnxruntime", "directml,cpu");
        assert!(errors.contains("directml") && errors.contains("cpu") && errors.contains("ORT_DYLIB_PATH"), "{errors}");
    }

    /// Starts the element in a process of its own, since a library stays once it is loaded.
    #[test]
    fn a_library_that_is_missing_or_another_is_an_error() {
        let other = std::env::current_exe().unwrap().with_file_name("libgstdensepose.so");
        for (library, cause) in [
            ("/nonexistent/libonnxruntime.so", "No such file"),
            ("libdensepose-no-such-library.so", "No such file"),
            (tiny_model().join("model.json").to_str().unwrap(), "model.json"),
            (other.to_str().unwrap(), "OrtGetApiBase"),
        ] {
            let (mut launch, _plugins) = command("gst-launch-1.0");
            let pipeline = "videotestsrc num-buffers=1 ! densepose name=a backend=onnxruntime ! fakesink \
                            videotestsrc num-buffers=1 ! densepose name=b backend=onnxruntime ! fakesink";
            launch.args(pipeline.split_whitespace()).env("ORT_DYLIB_PATH", library);
            let result = launch.output().unwrap();
            let text = String::from_utf8_lossy(&result.stderr);
            assert_eq!(result.status.code(), Some(255), "{library}: {text}");
            for part in ["cannot load ONNX Runtime", cause, "pip install onnxruntime", "ORT_DYLIB_PATH"] {
                assert!(text.contains(part), "\"{part}\" is missing for {library}: {text}");
            }
        }
    }
}
