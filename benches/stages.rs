//! Speed of each stage of a frame of 1280x720, with the default network at its own size: on one thread and on all.
//!
//! `cargo bench --bench stages [FILTER]`. The picture is noise and the boxes are made up, so that every run does the same
//! work; `cargo run --release --example bench_stages` measures whole frames of a picture.

use divan::Bencher;
use gstdensepose::estimator::boxes::{Rect, Scored};
use gstdensepose::estimator::charts::Charts;
use gstdensepose::estimator::stages::{BoxHead, DensePoseHead, Pyramid, Trunk};
use gstdensepose::estimator::{Backend, Manifest, Model, Threads, Timings, anchors};
use gstdensepose::frame::{InputSize, Sampler};
use gstdensepose::image::{Color, Component, Image, Layout};

/// Threads: one, and one for each core.
const THREADS: [usize; 2] = [1, 0];
const SIZE: (usize, usize) = (1280, 720);

fn main() {
    divan::main();
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

struct Setup {
    model: Model,
    threads: Threads,
    size: InputSize,
}

impl Setup {
    fn new(threads: usize) -> Self {
        let model = Model::embedded().expect("the embedded network is sound");
        let size = InputSize::new(SIZE, 1.0, 0, &model.manifest().input);
        Self { model, threads: Threads::new(threads).expect("threads"), size }
    }

    fn manifest(&self) -> &Manifest {
        self.model.manifest()
    }

    fn trunk(&self) -> Trunk {
        let mut trunk = Trunk::load(&self.model, &Backend::default()).expect("the embedded trunk is sound");
        let size = (self.size.padded_width, self.size.padded_height);
        trunk.prepare(self.manifest(), size, &self.threads).expect("the trunk runs at this size");
        let noise = noise(trunk.input().len());
        trunk.input().iter_mut().zip(noise).for_each(|(value, noise)| *value = f32::from(noise) / 128.0 - 1.0);
        trunk
    }

    fn pyramid(&self) -> Pyramid {
        self.trunk().run().expect("the trunk runs")
    }
}

/// Boxes of standing people all over the picture.
fn boxes(count: usize) -> Vec<Rect> {
    let place = |i: usize| {
        let (x, y) = ((37 * i % 360) as f32, (23 * i % 100) as f32);
        let side = 40.0 + (i % 5) as f32 * 10.0;
        Rect { x0: x, y0: y, x1: x + side, y1: y + 2.5 * side }
    };
    (0..count).map(place).collect()
}

fn resize(bencher: Bencher, threads: usize, layout: Layout, planes: &[(usize, usize)]) {
    let setup = Setup::new(threads);
    let bytes: Vec<Vec<u8>> = planes.iter().map(|&(length, _)| noise(length)).collect();
    let planes = bytes.iter().zip(planes).map(|(data, &(_, stride))| gstdensepose::image::Plane { data, stride });
    let image = Image::new(layout, planes.collect()).expect("planes that fit");
    let mut sampler = Sampler::new(&setup.manifest().input);
    let mut out = vec![0.0; 3 * setup.size.padded_width * setup.size.padded_height];
    bencher.bench_local(|| sampler.sample(&image, setup.size, &setup.threads, &mut out));
}

#[divan::bench(args = THREADS)]
fn resize_rgb(bencher: Bencher, threads: usize) {
    let (width, height) = SIZE;
    resize(bencher, threads, Layout::packed_rgb(width, height, 3, [0, 1, 2]), &[(width * height * 3, width * 3)]);
}

#[divan::bench(args = THREADS)]
fn resize_nv12(bencher: Bencher, threads: usize) {
    let (width, height) = SIZE;
    let chroma = |offset| Component { plane: 1, offset, step: 2, shift_x: 1, shift_y: 1 };
    let components = vec![Component::full(0, 0, 1), chroma(0), chroma(1)];
    let layout = Layout::new(width, height, Color::BT709, components);
    resize(bencher, threads, layout, &[(width * height, width), (width * height / 2, width)]);
}

#[divan::bench(args = THREADS)]
fn trunk(bencher: Bencher, threads: usize) {
    let mut trunk = Setup::new(threads).trunk();
    bencher.bench_local(|| trunk.run().expect("the trunk runs"));
}

#[divan::bench]
fn proposals(bencher: Bencher) {
    let setup = Setup::new(1);
    let pyramid = setup.pyramid();
    let levels = pyramid.levels(setup.manifest());
    bencher.bench_local(|| {
        let rpn = &setup.manifest().rpn;
        anchors::propose(rpn, &levels, (setup.size.width, setup.size.height), rpn.post_nms_topk)
    });
}

/// With their pooling.
#[divan::bench(args = THREADS)]
fn box_head_of_100(bencher: Bencher, threads: usize) {
    let setup = Setup::new(threads);
    let pyramid = setup.pyramid();
    let features = pyramid.features(setup.manifest());
    let proposals: Vec<Scored> = boxes(100).into_iter().map(|rect| Scored { rect, score: 0.0 }).collect();
    let mut head = BoxHead::load(&setup.model, &setup.threads, &Backend::default()).expect("the box head is sound");
    let timings = Timings::default();
    bencher.bench_local(|| head.judge(&features, &proposals, &timings).expect("the box head runs"));
}

fn people(bencher: Bencher, threads: usize, count: usize, paint: bool) {
    let setup = Setup::new(threads);
    let pyramid = setup.pyramid();
    let features = pyramid.features(setup.manifest());
    let boxes = boxes(count);
    let backend = Backend::default();
    let mut head = DensePoseHead::load(&setup.model, &setup.threads, &backend).expect("the DensePose head is sound");
    let timings = Timings::default();
    let finish = |_, charts: &Charts| paint.then(|| charts.to_iuv(200, 500, &Threads::one()));
    bencher.bench_local(|| head.map(&features, &boxes, &timings, finish).expect("the DensePose head runs"));
}

/// With its pooling.
#[divan::bench(args = THREADS)]
fn densepose_head_of_1(bencher: Bencher, threads: usize) {
    people(bencher, threads, 1, false);
}

#[divan::bench(args = THREADS)]
fn densepose_head_of_8(bencher: Bencher, threads: usize) {
    people(bencher, threads, 8, false);
}

/// And with the maps of 200 by 500 pixels that come of it.
#[divan::bench(args = THREADS)]
fn densepose_head_and_maps_of_8(bencher: Bencher, threads: usize) {
    people(bencher, threads, 8, true);
}
