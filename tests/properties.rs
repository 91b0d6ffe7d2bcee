//! Properties of all elements, set to bytes that are not UTF-8, as applications in C may.
#![cfg(unix)]

mod common;

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::{init, texts};
use gst::glib;
use gst::glib::translate::{ToGlibPtr, ToGlibPtrMut};
use gst::prelude::*;

/// Latin-1, as file names of old disks are.
const BYTES: &[u8] = b"caf\xe9\xff";
const ELEMENTS: [&str; 8] = [
    "densepose",
    "densepose-overlay",
    "densepose-export",
    "densepose-import",
    "densepose-serialize",
    "densepose-atlas",
    "densepose-seiinsert",
    "densepose-seiextract",
];
/// Those that are file names.
const PATHS: [&str; 4] = ["model", "location", "custom-palette", "texture"];

/// A string value of any bytes.
fn value(bytes: &[u8]) -> glib::Value {
    let text = CString::new(bytes).unwrap();
    let mut value = glib::Value::from_type(glib::Type::STRING);
    // SAFETY: the value holds a string; GObject copies the text.
    unsafe { glib::gobject_ffi::g_value_set_string(value.to_glib_none_mut().0, text.as_ptr()) };
    value
}

/// The bytes of a string property.
fn bytes(element: &gst::Element, name: &str) -> Option<Vec<u8>> {
    let value = element.property_value(name);
    // SAFETY: the property is a string's, NULL or ended by a NUL, which lives as long as the value.
    unsafe {
        let text = glib::gobject_ffi::g_value_get_string(value.to_glib_none().0);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes().to_vec())
    }
}

fn strings(element: &gst::Element) -> Vec<String> {
    let is_own = |p: &glib::ParamSpec| p.value_type() == glib::Type::STRING && p.owner_type() == element.type_();
    element.list_properties().iter().filter(|p| is_own(p)).map(|p| p.name().to_string()).collect()
}

#[test]
fn bytes_that_are_no_text_are_a_path_or_refused() {
    init();
    let mut seen = 0;
    for factory in ELEMENTS {
        let element = gst::ElementFactory::make(factory).build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        for name in strings(&element) {
            let old = bytes(&element, &name);
            element.set_property_from_value(&name, &value(BYTES));
            let warnings = texts(&bus, gst::MessageType::Warning);
            if PATHS.contains(&name.as_str()) {
                assert_eq!(bytes(&element, &name).as_deref(), Some(BYTES), "{factory} {name}");
                assert!(warnings.is_empty(), "{warnings:?}");
            } else {
                assert_eq!(bytes(&element, &name), old, "{factory} {name}");
                assert!(warnings.len() == 1 && warnings[0].contains(&name), "{factory} {name}: {warnings:?}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 11);
}

#[test]
fn a_path_that_is_no_text_is_named_in_the_error() {
    init();
    for (factory, name) in [
        ("densepose", "model"),
        ("densepose-import", "location"),
        ("densepose-overlay", "texture"),
        ("densepose-overlay", "custom-palette"),
    ] {
        let element = gst::ElementFactory::make(factory).build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        element.set_property_from_value(name, &value(BYTES));
        assert!(element.set_state(gst::State::Paused).is_err(), "{factory} {name}");
        let errors = texts(&bus, gst::MessageType::Error);
        assert!(errors.iter().any(|e| e.contains("caf")), "{factory} {name}: {errors:?}");
        element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn files_are_written_and_read_whose_names_are_no_text() {
    init();
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join(OsStr::from_bytes(BYTES));
    let location = value(path.as_os_str().as_bytes());
    for (factory, property) in [("densepose-export", "location"), ("densepose-import", "location")] {
        let element = gst::ElementFactory::make(factory).build().unwrap();
        element.set_property_from_value(property, &location);
        let mut h = gst_check::Harness::with_element(&element, Some("sink"), Some("src"));
        h.set_src_caps(common::caps("RGB", 4, 4));
        h.push(gst::Buffer::from_slice(vec![0u8; 48])).unwrap();
        h.push_event(gst::event::Eos::new());
        drop(h);
        element.set_state(gst::State::Null).unwrap();
        assert!(path.is_file(), "{factory}");
    }
}
