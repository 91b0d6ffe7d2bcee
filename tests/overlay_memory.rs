//! Maps that are not drawn are not copied: memory, counted by the allocator.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{caps, frame, init};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::meta;
use gstdensepose::person::{IuvMap, Person, Persons};

static TAKEN: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn maps_are_copied_only_to_be_drawn() {
    init();
    let (w, h, side) = (64, 48, 1000);
    let map = side * side * 3;
    let iuv = IuvMap::new(side, side, vec![3; map]).unwrap();
    let persons = vec![Person { id: 1, score: 0.9, x: 0, y: 0, iuv }];
    let mut buffer = frame("RGB", w, h, &vec![100; w * h * 3]);
    let found = Persons { width: w as u32, height: h as u32, age: 0, moved: false, persons };
    meta::attach(buffer.make_mut(), &found);
    let element = gst::ElementFactory::make("densepose-overlay").build().unwrap();
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.set_src_caps(caps("RGB", w, h));
    for (opacity, copies) in [(0.7, true), (0.0, false), (0.7, true)] {
        element.set_property("opacity", opacity);
        let pushed = buffer.copy();
        let before = TAKEN.load(Ordering::SeqCst);
        let out = harness.push_and_pull(pushed).unwrap();
        let taken = TAKEN.load(Ordering::SeqCst) - before;
        assert_eq!(taken >= map, copies, "opacity={opacity}: {taken} bytes, the map has {map}");
        assert_eq!(meta::read(&out).as_ref(), Some(&found), "the meta stays");
    }
}
