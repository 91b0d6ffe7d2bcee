//! Many elements in one process: what they share, and what is left when they are gone.
#![cfg(target_os = "linux")]

mod common;

use std::time::{Duration, Instant};

use common::{init, tiny_frame, tiny_model};
use gst_check::Harness;
use gstdensepose::estimator::Threads;
use gstdensepose::meta;

/// Threads of this process that compute.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("densepose-")).count()
}

fn element(threads: u32) -> Harness {
    let model = tiny_model();
    let element = gst::ElementFactory::make("densepose").property("model", model.to_str().unwrap());
    Harness::with_element(&element.property("threads", threads).build().unwrap(), Some("sink"), Some("src"))
}

/// Waits until there are so many: threads have their name, and end, a little after they are asked to.
fn wait_for(count: usize) {
    let start = Instant::now();
    while workers() != count && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(workers(), count);
}

/// In one test, since all of it counts the threads of the process.
#[test]
fn sixty_four_elements_share_a_pool_and_leave_nothing_behind() {
    init();
    // A pool of one thread is none: that of the stream does its work.
    let cores = Some(Threads::new(0).unwrap().count()).filter(|&count| count > 1).unwrap_or(0);
    wait_for(0);
    for _ in 0..2 {
        let mut elements: Vec<Harness> = (0..64).map(|_| element(0)).collect();
        wait_for(cores);
        let (caps, frame) = tiny_frame("RGB");
        std::thread::scope(|scope| {
            for h in &mut elements {
                let (frame, caps) = (frame.clone(), caps.clone());
                scope.spawn(move || {
                    h.set_src_caps(caps);
                    for _ in 0..3 {
                        h.push(frame.copy()).unwrap();
                        assert!(meta::read(&h.pull().unwrap()).is_some());
                    }
                });
            }
        });
        assert_eq!(workers(), cores, "inferences start no further threads");
        let own = element(3);
        // Who asks for threads has its own.
        wait_for(cores + 3);
        drop(own);
        wait_for(cores);
        elements.truncate(1);
        assert_eq!(workers(), cores, "the last one still has them");
        drop(elements);
        wait_for(0);
    }
}
