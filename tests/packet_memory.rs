//! What the worst packet costs: memory, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use gstdensepose::packet::{MAX_FRAMES, PacketError, decode_within, encode};
use gstdensepose::person::{IuvMap, Person, Persons};

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(now, Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that is held while `work` is done, above what was held before.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    work();
    PEAK.load(Ordering::SeqCst) - before
}

#[test]
fn the_worst_packet_costs_a_small_multiple_of_the_video_s_frame() {
    let (width, height) = (640, 360);
    let frame = (width * height) as usize;
    // As many people as there may be, each all over the picture, in maps that compress to next to nothing.
    let iuv = IuvMap::new(width as usize, height as usize, [2, 0, 0].repeat(frame)).unwrap();
    let person = |id| Person { id, score: 1.0, x: 0, y: 0, iuv: iuv.clone() };
    let mut persons =
        Persons { width, height, age: 0, moved: false, persons: (0..MAX_FRAMES as u32).map(person).collect() };
    let packet = encode(&persons);
    assert!(packet.len() < frame / 20, "{} bytes for {frame} pixels", packet.len());
    let mut read = None;
    let held = peak(|| read = Some(decode_within(&packet, (width, height))));
    assert_eq!(read.unwrap().unwrap().persons.len(), MAX_FRAMES);
    let maps = MAX_FRAMES * frame * 3;
    assert!(held >= maps && held < maps + 8 * frame + (1 << 20), "{held} bytes for {maps} bytes of maps");

    // Of a frame four times as large, the same packet claims more than the video can have: refused at once.
    (persons.width, persons.height) = (width * 4, height * 4);
    let packet = encode(&persons);
    let held = peak(|| {
        let refused = decode_within(&packet, (width, height));
        assert!(matches!(refused, Err(PacketError::Frame { .. })));
    });
    assert!(held < 4096, "{held} bytes to refuse a packet");
}
