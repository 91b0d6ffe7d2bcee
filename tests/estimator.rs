//! The estimator on the tiny network of `tests/fixtures/tiny`: every stage against what PyTorch computes there (see
//! `models/zoo/tiny_fixture.py`), whole pictures of all kinds, and models that are broken in every way.

use std::fs;
use std::path::{Path, PathBuf};

use gstdensepose::estimator::anchors::{LevelOutput, propose};
use gstdensepose::estimator::boxes::{Rect, Scored};
use gstdensepose::estimator::charts::{Charts, Grid};
use gstdensepose::estimator::detections::{Verdict, detect};
use gstdensepose::estimator::manifest::Pooler;
use gstdensepose::estimator::roi_align::{FeatureMap, RoiAlign, level_of};
use gstdensepose::estimator::stages::{BoxHead, DensePoseHead, Trunk};
use gstdensepose::estimator::{Backend, Estimator, Model, Options, Provider, Stage, Threads, Timings};
use gstdensepose::frame::{InputSize, Sampler};
use gstdensepose::image::{Image, Layout, Plane};
use gstdensepose::person::Person;
use serde_json::{Value, json};

#[path = "support/npz.rs"]
mod npz;
use npz::{Array, Arrays};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny")
}

fn model() -> Model {
    Model::open(tiny()).unwrap()
}

/// tract; ONNX Runtime in builds with it, where `ORT_DYLIB_PATH` must name its library (`make test-backend`).
fn backend() -> Backend {
    match cfg!(feature = "onnxruntime") {
        true => Backend::OnnxRuntime { providers: vec![Provider::Cpu] },
        false => Backend::Tract,
    }
}

fn reference() -> Arrays {
    Arrays::open(tiny().join("reference.npz")).unwrap()
}

/// Bytes, width and height of the fixture's picture.
fn picture() -> (Vec<u8>, usize, usize) {
    let reference = reference();
    let picture = reference.get("picture");
    (picture.bytes(), picture.shape[1], picture.shape[0])
}

fn input_size(model: &Model) -> InputSize {
    let (_, width, height) = picture();
    InputSize::new((width, height), 1.0, 0, &model.manifest().input)
}

/// Differences of at most `bound` times the largest value.
fn assert_close(what: &str, got: &[f32], want: &[f32], bound: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(1e-9_f32, |most, v| most.max(v.abs()));
    let off = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off <= bound * scale, "{what}: off by {off}, values up to {scale}");
}

fn scored(boxes: &Array, scores: &Array) -> Vec<Scored> {
    let rects = boxes.items().map(|b| Rect::new(b[0], b[1], b[2], b[3]));
    rects.zip(&scores.data).map(|(rect, &score)| Scored { rect, score }).collect()
}

fn edges(boxes: &[Scored]) -> Vec<f32> {
    boxes.iter().flat_map(|b| [b.rect.x0, b.rect.y0, b.rect.x1, b.rect.y1]).collect()
}

fn scores(boxes: &[Scored]) -> Vec<f32> {
    boxes.iter().map(|b| b.score).collect()
}

const FEATURES: [&str; 4] = ["p2", "p3", "p4", "p5"];
const LEVELS: [&str; 5] = ["p2", "p3", "p4", "p5", "p6"];

/// PyTorch's feature maps.
fn features<'a>(model: &Model, reference: &'a Arrays) -> Vec<FeatureMap<'a>> {
    FEATURES
        .iter()
        .zip(&model.manifest().features)
        .map(|(name, feature)| {
            let array = reference.channels_last(name);
            let [_, height, width, channels] = array.shape[..] else { panic!("a feature map has four axes") };
            FeatureMap { data: &array.data, height, width, channels, stride: feature.stride }
        })
        .collect()
}

fn align(pooler: &Pooler) -> RoiAlign {
    RoiAlign { resolution: pooler.resolution, sampling_ratio: pooler.sampling_ratio, aligned: pooler.aligned }
}

#[test]
fn the_picture_is_resized_and_normalised() {
    let (model, reference) = (model(), reference());
    let (data, width, height) = picture();
    let image = Image::rgb(width, height, &data).unwrap();
    let size = input_size(&model);
    let area = size.padded_width * size.padded_height;
    let mut tensor = vec![f32::NAN; 3 * area];
    Sampler::new(&model.manifest().input).sample(&image, size, &Threads::one(), &mut tensor);
    assert_close("input", &tensor, &reference.channels_last("input").data, 1e-6);

    let mut plain = model.manifest().input.clone();
    (plain.mean, plain.std) = ([0.0; 3], [1.0; 3]);
    Sampler::new(&plain).sample(&image, size, &Threads::one(), &mut tensor);
    let resized = reference.get("resized");
    assert_eq!(resized.shape, [size.height, size.width, 3]);
    for (i, want) in resized.data.iter().enumerate() {
        let (c, x, y) = (i % 3, i / 3 % size.width, i / 3 / size.width);
        assert_eq!(tensor[(y * size.padded_width + x) * 3 + c], *want, "channel {c} at {x}, {y}");
    }
}

#[test]
fn the_trunk_computes_what_pytorch_does() {
    let (model, reference) = (model(), reference());
    let size = input_size(&model);
    for threads in [1, 2] {
        let mut trunk = Trunk::load(&model, &backend()).unwrap();
        let threads = Threads::new(threads).unwrap();
        trunk.prepare(model.manifest(), (size.padded_width, size.padded_height), &threads).unwrap();
        // Twice, since runs must not leave anything behind.
        for _ in 0..2 {
            trunk.input().copy_from_slice(&reference.channels_last("input").data);
            let pyramid = trunk.run().unwrap();
            for (map, name) in pyramid.features(model.manifest()).iter().zip(FEATURES) {
                assert_close(name, map.data, &reference.channels_last(name).data, 1e-5);
            }
            for (level, name) in pyramid.levels(model.manifest()).iter().zip(LEVELS) {
                let (objectness, deltas) = (format!("objectness_{name}"), format!("deltas_{name}"));
                assert_close(&objectness, level.objectness, &reference.channels_last(&objectness).data, 1e-5);
                assert_close(&deltas, level.deltas, &reference.channels_last(&deltas).data, 1e-5);
            }
        }
    }
}

#[test]
fn proposals_are_those_of_pytorch() {
    let (model, reference) = (model(), reference());
    let size = input_size(&model);
    let levels: Vec<LevelOutput> = LEVELS
        .iter()
        .map(|name| {
            let objectness = reference.channels_last(&format!("objectness_{name}"));
            let (height, width) = (objectness.shape[1], objectness.shape[2]);
            let deltas = &reference.channels_last(&format!("deltas_{name}")).data;
            LevelOutput { objectness: &objectness.data, deltas, height, width }
        })
        .collect();
    let proposals =
        propose(&model.manifest().rpn, &levels, (size.width, size.height), model.manifest().rpn.post_nms_topk);
    assert_close("proposals", &edges(&proposals), &reference.get("proposals").data, 1e-6);
    assert_close("logits", &scores(&proposals), &reference.get("proposal_logits").data, 1e-6);
}

#[test]
fn the_box_head_computes_what_pytorch_does() {
    let (model, reference) = (model(), reference());
    let config = &model.manifest().box_head;
    let features = features(&model, &reference);
    let maps: Vec<&FeatureMap> = features.iter().collect();
    let proposals = scored(reference.get("proposals"), reference.get("proposal_logits"));
    for (proposal, want) in proposals.iter().zip(reference.channels_last("box_rois").items()) {
        let level = level_of(&proposal.rect, &maps, config.pooler.canonical_size, config.pooler.canonical_level);
        let mut got = vec![f32::NAN; want.len()];
        align(&config.pooler).pool(maps[level], &proposal.rect, &mut got);
        assert_close("pooled proposal", &got, want, 1e-5);
    }
    for threads in [1, 2] {
        let threads = Threads::new(threads).unwrap();
        let mut head = BoxHead::load(&model, &threads, &backend()).unwrap();
        let verdicts = head.judge(&features, &proposals, &Timings::default()).unwrap();
        let logits: Vec<f32> = verdicts.iter().flat_map(|v| v.logits.clone()).collect();
        let deltas: Vec<f32> = verdicts.iter().flat_map(|v| v.deltas).collect();
        assert_close("scores", &logits, &reference.get("box_scores").data, 1e-5);
        assert_close("deltas", &deltas, &reference.get("box_deltas").data, 1e-5);
    }
}

#[test]
fn detections_are_those_of_pytorch() {
    let (model, reference) = (model(), reference());
    let config = &model.manifest().box_head;
    let proposals = scored(reference.get("proposals"), reference.get("proposal_logits"));
    let verdicts: Vec<Verdict> = reference
        .get("box_scores")
        .items()
        .zip(reference.get("box_deltas").items())
        .map(|(logits, deltas)| Verdict { logits: logits.to_vec(), deltas: deltas.try_into().unwrap() })
        .collect();
    let (person, limits) = (model.manifest().person_class(), (config.score_threshold, config.max_detections));
    let found = detect(config, person, &proposals, &verdicts, input_size(&model), limits);
    assert_close("boxes", &edges(&found), &reference.get("detections").data, 1e-6);
    assert_close("scores", &scores(&found), &reference.get("detection_scores").data, 1e-6);
}

#[test]
fn the_densepose_head_computes_what_pytorch_does() {
    let (model, reference) = (model(), reference());
    let features = features(&model, &reference);
    let detections = scored(reference.get("detections"), reference.get("detection_scores"));
    let rects: Vec<Rect> = detections.iter().map(|d| d.rect).collect();
    for (rect, want) in rects.iter().zip(reference.channels_last("densepose_rois").items()) {
        let mut got = vec![f32::NAN; want.len()];
        align(&model.manifest().densepose_head.pooler).pool(&features[0], rect, &mut got);
        assert_close("pooled person", &got, want, 1e-5);
    }
    let names = ["coarse", "fine", "u", "v"];
    for threads in [1, 2] {
        let threads = Threads::new(threads).unwrap();
        let mut head = DensePoseHead::load(&model, &threads, &backend()).unwrap();
        let copy =
            |_: usize, charts: &Charts| [charts.coarse, charts.fine, charts.u, charts.v].map(|grid| grid.data.to_vec());
        // All boxes at once, and the first one alone.
        for boxes in [&rects[..], &rects[..1]] {
            let charts = head.map(&features, boxes, &Timings::default(), copy).unwrap();
            for (got, name) in charts[0].iter().zip(names) {
                assert_close(name, got, &reference.channels_last(name).data, 1e-5);
            }
        }
    }
}

#[test]
fn charts_become_the_map_that_pytorch_makes() {
    let reference = reference();
    let [coarse, fine, u, v] = ["coarse", "fine", "u", "v"].map(|name| {
        let array = reference.channels_last(name);
        Grid { data: &array.data, height: array.shape[1], width: array.shape[2], channels: array.shape[3] }
    });
    let want = reference.get("iuv_0");
    for threads in [1, 3] {
        let threads = Threads::new(threads).unwrap();
        let map = Charts { coarse, fine, u, v }.to_iuv(want.shape[1], want.shape[0], &threads);
        let (same, off) = compare(map.data(), &want.bytes());
        assert_eq!((same, off), (1.0, 0), "share of equal parts, largest difference of coordinates");
    }
}

/// Share of pixels with the same part, and the largest difference of U and V among them.
fn compare(got: &[u8], want: &[u8]) -> (f64, u8) {
    assert_eq!(got.len(), want.len());
    let pairs: Vec<(&[u8], &[u8])> = got.chunks(3).zip(want.chunks(3)).collect();
    let same: Vec<_> = pairs.iter().filter(|(a, b)| a[0] == b[0]).collect();
    let off = same.iter().flat_map(|(a, b)| [a[1].abs_diff(b[1]), a[2].abs_diff(b[2])]).max();
    (same.len() as f64 / pairs.len() as f64, off.unwrap_or(0))
}

fn estimator(options: Options) -> Estimator {
    Estimator::with_backend(&model(), options, &backend()).unwrap()
}

fn persons(estimator: &mut Estimator) -> Vec<Person> {
    let (data, width, height) = picture();
    estimator.estimate(&Image::rgb(width, height, &data).unwrap()).unwrap()
}

#[test]
fn people_are_found_as_in_pytorch() {
    let reference = reference();
    let (boxes, wanted_scores) = (reference.get("xywh"), reference.get("detection_scores"));
    for threads in [1, 3] {
        let found = persons(&mut estimator(Options { threads, ..Options::default() }));
        assert_eq!(found.len(), boxes.shape[0]);
        for (i, (person, want)) in found.iter().zip(boxes.items()).enumerate() {
            assert_eq!(person.id, i as u32);
            let got = [person.x as f32, person.y as f32, person.width() as f32, person.height() as f32];
            assert_eq!(got, want, "person {i}");
            assert!((person.score - wanted_scores.data[i]).abs() < 1e-4);
            let (same, off) = compare(person.iuv.data(), &reference.get(&format!("iuv_{i}")).bytes());
            assert!(same > 0.995 && off <= 1, "person {i}: {same} of parts equal, coordinates off by {off}");
        }
    }
}

/// Small networks of all kinds, see `models/zoo/kinds_fixture.py`: ResNet, squeeze-excite and BiFPN backbones, both box
/// heads, heads on one level, all levels and a decoder, non-local block, GroupNorm, outputs beside the charts, BGR.
#[test]
fn networks_of_all_kinds_run_by_their_manifests() {
    let kinds = ["densepose_rcnn", "densepose_rcnn_dl", "mobile_parsing_rcnn", "parsing_rcnn"];
    for kind in kinds {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kinds").join(kind);
        let model = Model::open(&directory).unwrap();
        let manifest = model.manifest();
        let reference = Arrays::open(directory.join("reference.npz")).unwrap();
        let picture = reference.get("picture");
        let (data, width, height) = (picture.bytes(), picture.shape[1], picture.shape[0]);
        let image = Image::rgb(width, height, &data).unwrap();

        let size = InputSize::new((width, height), 1.0, 0, &manifest.input);
        let mut trunk = Trunk::load(&model, &backend()).unwrap();
        trunk.prepare(manifest, (size.padded_width, size.padded_height), &Threads::one()).unwrap();
        Sampler::new(&manifest.input).sample(&image, size, &Threads::one(), trunk.input());
        let pyramid = trunk.run().unwrap();
        // Activations that are approximated make these less exact than those of the tiny network.
        for (map, feature) in pyramid.features(manifest).iter().zip(&manifest.features) {
            assert_close(
                &format!("{kind}: {}", feature.output),
                map.data,
                &reference.channels_last(&feature.output).data,
                1e-4,
            );
        }
        for (output, level) in pyramid.levels(manifest).iter().zip(&manifest.rpn.levels) {
            let want = reference.channels_last(&level.objectness);
            assert_close(&format!("{kind}: {}", level.objectness), output.objectness, &want.data, 1e-4);
        }

        let mut estimator =
            Estimator::with_backend(&model, Options { threads: 2, ..Options::default() }, &backend()).unwrap();
        let found = estimator.estimate(&image).unwrap();
        let (boxes, scores) = (reference.get("xywh"), reference.get("scores"));
        assert_eq!(found.len(), boxes.shape[0], "{kind}");
        for (i, (person, want)) in found.iter().zip(boxes.items()).enumerate() {
            let got = [person.x as f32, person.y as f32, person.width() as f32, person.height() as f32];
            assert_eq!(got, want, "{kind}: person {i}");
            assert!((person.score - scores.data[i]).abs() < 1e-4, "{kind}: person {i}");
            let (same, off) = compare(person.iuv.data(), &reference.get(&format!("iuv_{i}")).bytes());
            assert!(same > 0.99 && off <= 1, "{kind}: person {i}: {same} of parts equal, coordinates off by {off}");
        }
    }
}

#[test]
fn embeddings_are_no_charts() {
    let directory =
        changed(&[("/densepose_head/embedding", json!("embedding")), ("/densepose_head/fine", json!(null))]);
    assert_explains(&problem(directory.path()), &["model.json", "embeddings", "take a model with charts"]);
    // Beside charts they are one more output that nobody asks for.
    let both = changed(&[("/densepose_head/embedding", json!("embedding"))]);
    Model::open(both.path()).unwrap();
}

#[test]
fn maps_reach_beyond_the_detected_box_by_the_margin() {
    let with = |margin: f32| {
        let directory = changed(&[("/densepose_head/margin", json!(margin))]);
        Estimator::new(&Model::open(directory.path()).unwrap(), Options::default()).unwrap()
    };
    let (pixels, width, height) = picture();
    let (tight, wide) = (persons(&mut with(0.0)), persons(&mut with(0.1)));
    assert_eq!(tight.len(), wide.len());
    for (tight, wide) in tight.iter().zip(&wide) {
        assert_eq!(tight.score, wide.score);
        // Up to the picture's edges, and to what rounding down to pixels takes away.
        let edges = |start: i32, length: usize, full: usize| {
            let room = 0.1 * length as f32;
            ((start as f32 - room).max(0.0), (start as f32 + length as f32 + room).min(full as f32))
        };
        for ((start, length, full), (found, side)) in [
            ((tight.x, tight.width(), width), (wide.x, wide.width())),
            ((tight.y, tight.height(), height), (wide.y, wide.height())),
        ] {
            let (first, last) = edges(start, length, full);
            assert!((found as f32 - first).abs() <= 1.5, "{found} and not {first}");
            assert!((found as f32 + side as f32 - last).abs() <= 2.5, "{found} + {side} and not {last}");
        }
    }
    // Boxes that are given are mapped as they are.
    let image = Image::rgb(width, height, &pixels).unwrap();
    let given = |margin| with(margin).estimate_boxes(&image, &[Rect::new(10.0, 10.0, 60.0, 80.0)]).unwrap();
    assert_eq!(given(0.1), given(0.0));
}

#[test]
fn uncertain_maps_lower_the_score() {
    let with = |sure_from: f32, options| {
        let directory = changed(&[("/densepose_head/sure_from", json!(sure_from))]);
        let model = Model::open(directory.path()).unwrap();
        persons(&mut Estimator::new(&model, options).unwrap())
    };
    let all = with(0.0, Options::default());
    let doubted = with(1.0, Options::default());
    assert!(doubted.is_sorted_by(|a, b| a.score >= b.score));
    assert!(doubted.iter().enumerate().all(|(i, person)| person.id == i as u32));
    let factors: Vec<f32> = doubted
        .iter()
        .map(|person| {
            person.score / all.iter().find(|other| other.iuv == person.iuv && other.x == person.x).unwrap().score
        })
        .collect();
    assert!(factors.iter().all(|f| (0.0..1.0).contains(f)), "{factors:?}");
    let threshold = all[0].score * factors[0] * 1.01;
    let left = with(1.0, Options { score_threshold: Some(threshold), ..Options::default() });
    assert!(left.iter().all(|person| person.score > threshold) && left.len() < doubted.len());
    // Who is doubted gives way to the next best.
    let one = with(1.0, Options { max_persons: Some(1), ..Options::default() });
    let best = doubted.iter().find(|person| all[..3].iter().any(|other| other.iuv == person.iuv)).unwrap();
    assert_eq!(one, std::slice::from_ref(best));
    assert_eq!(one[0].id, 0);
    // Where boxes are given, nobody doubts them.
    let directory = changed(&[("/densepose_head/sure_from", json!(1.0))]);
    let mut estimator = Estimator::new(&Model::open(directory.path()).unwrap(), Options::default()).unwrap();
    let (pixels, width, height) = picture();
    let image = Image::rgb(width, height, &pixels).unwrap();
    let given = estimator.estimate_boxes(&image, &[Rect::new(10.0, 10.0, 60.0, 80.0)]).unwrap();
    assert_eq!(given[0].score, 1.0);
}

#[test]
fn who_is_found_twice_is_left_out() {
    let estimator = |nms_iou: f32| {
        let changes = [
            ("/box_head/nms_threshold", json!(0.95)),
            ("/densepose_head/nms_iou", json!(nms_iou)),
            ("/densepose_head/nms_shared", json!(0.3)),
        ];
        let directory = changed(&changes);
        let everybody = Options { max_persons: Some(100), ..Options::default() };
        Estimator::new(&Model::open(directory.path()).unwrap(), everybody).unwrap()
    };
    let all = persons(&mut estimator(1.0));
    let left = persons(&mut estimator(0.0));
    assert!(!left.is_empty() && left.len() < all.len(), "{} of {}", left.len(), all.len());
    assert_eq!((&left[0].iuv, left[0].id), (&all[0].iuv, 0), "the best stays");
    assert!(left.iter().all(|person| all.iter().any(|other| other.iuv == person.iuv)));
    // Boxes that are given are mapped as often as they are given.
    let (pixels, width, height) = picture();
    let image = Image::rgb(width, height, &pixels).unwrap();
    let twice = [Rect::new(10.0, 10.0, 60.0, 80.0); 2];
    assert_eq!(estimator(0.0).estimate_boxes(&image, &twice).unwrap().len(), 2);
}

#[test]
fn options_change_while_it_runs() {
    let mut estimator = estimator(Options::default());
    let all = persons(&mut estimator);
    let middle = (all[1].score + all[2].score) / 2.0;
    estimator.set_options(Options { score_threshold: Some(middle), ..Options::default() });
    assert_eq!(persons(&mut estimator), all[..2]);
    estimator.set_options(Options { max_persons: Some(1), ..Options::default() });
    assert_eq!(persons(&mut estimator), all[..1]);
    estimator.set_options(Options { max_persons: Some(0), ..Options::default() });
    assert_eq!(persons(&mut estimator), []);
    estimator.set_options(Options { score_threshold: Some(1.0), ..Options::default() });
    assert_eq!(persons(&mut estimator), []);
    for threads in [1, 2, 0] {
        estimator.set_options(Options { threads, ..Options::default() });
        assert_eq!(persons(&mut estimator).len(), all.len());
    }
    let (_, width, height) = picture();
    for (short_side, expected) in [(64, 64), (1, 32), (100_000, 185)] {
        estimator.set_options(Options { short_side, ..Options::default() });
        assert_eq!(estimator.input_size((width, height), 1.0).height, expected);
        persons(&mut estimator);
    }
    estimator.set_options(Options::default());
    assert_eq!(persons(&mut estimator), all);
}

#[test]
fn pictures_of_any_shape_are_taken() {
    // Everything that the network proposes is to be mapped, so that all of them go all the way.
    let mut estimator = estimator(Options { score_threshold: Some(0.0), ..Options::default() });
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (2, 3), (33, 31), (641, 479), (1921, 1081)] {
        let data: Vec<u8> = (0..width * height * 3).map(|i| (i * 31 % 251) as u8).collect();
        for person in estimator.estimate(&Image::rgb(width, height, &data).unwrap()).unwrap() {
            assert!(person.x >= 0 && person.y >= 0 && person.width() >= 1 && person.height() >= 1);
            assert!(person.x as usize + person.width() <= width, "{width}x{height}");
            assert!(person.y as usize + person.height() <= height, "{width}x{height}");
            assert!(person.iuv.data().chunks(3).all(|p| p[0] <= 24 && (p[0] > 0 || p == [0, 0, 0])));
        }
    }
    let gray = vec![99; 50 * 40];
    let image = Image::new(Layout::gray(50, 40), vec![Plane { data: &gray, stride: 50 }]).unwrap();
    estimator.estimate(&image).unwrap();
}

#[test]
fn fifty_people_are_no_trouble() {
    let directory = changed(&[
        ("/rpn/post_nms_topk", json!(80)),
        ("/rpn/nms_threshold", json!(1.0)),
        ("/box_head/nms_threshold", json!(1.0)),
        ("/box_head/score_threshold", json!(0.0)),
        ("/box_head/max_detections", json!(80)),
    ]);
    let mut estimator =
        Estimator::with_backend(&Model::open(directory.path()).unwrap(), Options::default(), &backend()).unwrap();
    let found = persons(&mut estimator);
    assert!(found.len() >= 50, "{}", found.len());
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(estimator.timings().of(Stage::DensePoseHead) > estimator.timings().of(Stage::Detections));
}

#[test]
fn estimators_at_work_at_the_same_time_do_not_mix() {
    let (pixels, width, height) = picture();
    // Each its own picture: the one, moved by some columns.
    let moved = |columns: usize| -> Vec<u8> {
        pixels.chunks(3 * width).flat_map(|row| [&row[3 * columns..], &row[..3 * columns]].concat()).collect()
    };
    let pictures: Vec<Vec<u8>> = (0..8).map(|i| moved(5 * i)).collect();
    let find = |estimator: &mut Estimator, pixels: &[u8]| {
        estimator.estimate(&Image::rgb(width, height, pixels).unwrap()).unwrap()
    };
    let mut alone = estimator(Options::default());
    let expected: Vec<_> = pictures.iter().map(|pixels| find(&mut alone, pixels)).collect();
    let places = |people: &[Person]| people.iter().map(|p| (p.x, p.y, p.width(), p.height())).collect::<Vec<_>>();
    assert!(!expected[0].is_empty() && places(&expected[0]) != places(&expected[1]));
    std::thread::scope(|scope| {
        for (pixels, expected) in pictures.iter().zip(&expected) {
            scope.spawn(move || {
                let mut estimator = estimator(Options::default());
                for _ in 0..20 {
                    let found = find(&mut estimator, pixels);
                    assert_eq!(places(&found), places(expected));
                    for (found, expected) in found.iter().zip(expected) {
                        assert!((found.score - expected.score).abs() < 1e-5);
                        assert!(found.iuv.data() == expected.iuv.data());
                    }
                }
            });
        }
    });
}

#[test]
fn the_same_picture_gives_the_same_people() {
    let mut estimator = estimator(Options { threads: 2, ..Options::default() });
    let first = persons(&mut estimator);
    for _ in 0..3 {
        assert_eq!(persons(&mut estimator), first);
    }
}

#[test]
fn numbers_out_of_bounds_do_no_harm() {
    // Inputs so large that the networks put out infinities and what is no number.
    for std in [1e-20, 1e-37] {
        let directory = changed(&[("/input/std", json!([std, std, std])), ("/box_head/score_threshold", json!(0.0))]);
        let mut estimator =
            Estimator::with_backend(&Model::open(directory.path()).unwrap(), Options::default(), &backend()).unwrap();
        for person in persons(&mut estimator) {
            assert!(person.score.is_finite());
        }
    }
    let mut estimator = estimator(Options { score_threshold: Some(f32::NAN), ..Options::default() });
    assert_eq!(persons(&mut estimator), []);
}

#[test]
#[cfg(feature = "embedded-model")]
fn the_library_brings_its_own_model() {
    let model = Model::embedded().unwrap();
    let mut estimator = Estimator::with_backend(&model, Options::default(), &backend()).unwrap();
    let (data, width, height) = picture();
    estimator.estimate(&Image::rgb(width, height, &data).unwrap()).unwrap();
}

/// A copy of the tiny model with other values in its manifest, by JSON pointers; `null` removes the field.
fn changed(changes: &[(&str, Value)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(tiny()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json" || e == "onnx") {
            fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let manifest = directory.path().join("model.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    for (pointer, new) in changes {
        let (owner, field) = pointer.rsplit_once('/').unwrap();
        match (value.pointer_mut(owner).unwrap(), new) {
            (Value::Object(owner), Value::Null) => drop(owner.remove(field).unwrap()),
            (Value::Object(owner), new) => drop(owner.insert(field.into(), new.clone())),
            (Value::Array(owner), new) => owner[field.parse::<usize>().unwrap()] = new.clone(),
            _ => panic!("nothing at {pointer}"),
        }
    }
    fs::write(manifest, value.to_string()).unwrap();
    directory
}

/// Replaces the bytes of a stage, and its checksum along with them.
fn with_network(stage: &str, bytes: &[u8]) -> tempfile::TempDir {
    use sha2::{Digest, Sha256};
    let sha256: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let directory = changed(&[(&format!("/stages/{stage}/sha256"), json!(sha256))]);
    fs::write(directory.path().join(format!("{stage}.onnx")), bytes).unwrap();
    directory
}

/// Why the model cannot be used, be it found on reading, loading or preparing for a frame.
fn problem(directory: &Path) -> String {
    let outcome = Model::open(directory).and_then(|model| {
        let mut estimator = Estimator::with_backend(&model, Options { threads: 1, ..Options::default() }, &backend())?;
        estimator.prepare((320, 240), 1.0)
    });
    outcome.expect_err("this model is broken").to_string()
}

/// The message must name the file, the cause and what to do.
fn assert_explains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is missing in: {message}");
    }
}

#[test]
fn what_the_manifest_does_not_know_is_ignored() {
    let directory =
        changed(&[("/colour_of_the_sky", json!("blue")), ("/rpn/note", json!(["x"])), ("/licence", json!(null))]);
    assert_eq!(Model::open(directory.path()).unwrap().manifest().name, "tiny");
}

#[test]
fn missing_files_are_named() {
    let nowhere = Path::new("/nonexistent/model");
    assert_explains(&problem(nowhere), &["/nonexistent/model/model.json", "No such file", "a model is a directory"]);
    let empty = tempfile::tempdir().unwrap();
    assert_explains(&problem(empty.path()), &["model.json", "No such file"]);
    // A file instead of a directory.
    assert_explains(&problem(&tiny().join("model.json")), &["model.json/model.json", "Not a directory"]);
    for stage in ["trunk", "box_head", "densepose_head"] {
        let directory = changed(&[]);
        let file = directory.path().join(format!("{stage}.onnx"));
        fs::remove_file(&file).unwrap();
        assert_explains(&problem(directory.path()), &[&file.display().to_string(), "No such file"]);
    }
}

#[test]
fn damaged_manifests_are_explained() {
    let directory = changed(&[]);
    let file = directory.path().join("model.json");
    let whole = fs::read(&file).unwrap();
    for broken in [&b""[..], b"no JSON", b"[1, 2]", &whole[..whole.len() / 2], b"\xff\xfe\x00"] {
        fs::write(&file, broken).unwrap();
        assert_explains(
            &problem(directory.path()),
            &["model.json", "is not a model manifest", "export the model again"],
        );
    }
}

#[test]
fn missing_fields_are_named() {
    for field in [
        "/format",
        "/version",
        "/name",
        "/input",
        "/input/mean",
        "/input/short_side",
        "/stages/trunk",
        "/stages/box_head/file",
        "/stages/densepose_head/sha256",
        "/features",
        "/features/0/stride",
        "/rpn/levels",
        "/rpn/levels/4/deltas",
        "/rpn/post_nms_topk",
        "/box_head/resolution",
        "/box_head/classes",
        "/box_head/score_threshold",
        "/densepose_head/u",
    ] {
        let directory = changed(&[(field, json!(null))]);
        let name = field.rsplit('/').next().unwrap();
        assert_explains(&problem(directory.path()), &["model.json", &format!("missing field `{name}`")]);
    }
}

#[test]
fn values_that_cannot_be_are_named() {
    let long = "x".repeat(64);
    let table = [
        ("/format", json!("densepose-video"), "format is \"densepose-video\""),
        ("/version", json!(2), "version is 2"),
        ("/input/channel_order", json!("GBR"), "unknown variant `GBR`"),
        ("/input/mean", json!([1, 2]), "invalid length 2"),
        ("/input/std", json!([1, 0, 1]), "input.std is [1.0, 0.0, 1.0]"),
        ("/input/short_side", json!(0), "input.short_side is 0"),
        ("/input/short_side", json!(-4), "invalid value"),
        ("/input/short_side", json!(100_000), "input.short_side is 100000"),
        ("/input/max_long_side", json!(50), "input.max_long_side is 50"),
        ("/input/size_divisor", json!(0), "input.size_divisor is 0"),
        ("/input/size_divisor", json!(16), "features[3].stride is 32"),
        ("/stages/trunk/file", json!(""), "stages.trunk.file is \"\""),
        ("/stages/trunk/file", json!("../trunk.onnx"), "no path inside the model directory"),
        ("/stages/trunk/file", json!("/etc/passwd"), "no path inside the model directory"),
        ("/stages/box_head/file", json!("a/../../b.onnx"), "no path inside the model directory"),
        ("/stages/box_head/file", json!("..\\b.onnx"), "no path inside the model directory"),
        ("/stages/trunk/sha256", json!("abc"), "stages.trunk.sha256 is not 64 hexadecimal digits"),
        ("/stages/trunk/sha256", json!(long), "stages.trunk.sha256 is not 64 hexadecimal digits"),
        ("/features", json!([]), "features is empty"),
        ("/features/0/stride", json!(0), "features[0].stride is 0"),
        ("/features/0/stride", json!(5), "features[0].stride is 5"),
        ("/features/1/channels", json!(0), "features[1].channels is 0"),
        ("/features/1/output", json!("p2"), "names \"p2\" twice"),
        ("/features/1/output", json!(""), "empty name"),
        ("/rpn/levels", json!([]), "rpn.levels is empty"),
        ("/rpn/levels/0/objectness", json!("p2"), "names \"p2\" twice"),
        ("/rpn/levels/0/stride", json!(0), "rpn.levels[0].stride is 0"),
        ("/rpn/levels/0/sizes", json!([]), "rpn.levels[0].sizes is []"),
        ("/rpn/levels/0/sizes", json!([0]), "rpn.levels[0].sizes is [0.0]"),
        ("/rpn/aspect_ratios", json!([-1]), "rpn.aspect_ratios is [-1.0]"),
        ("/rpn/box_weights", json!([1, 1, 1, 0]), "rpn.box_weights"),
        ("/rpn/pre_nms_topk", json!(0), "rpn.pre_nms_topk is 0"),
        ("/rpn/post_nms_topk", json!(0), "rpn.post_nms_topk is 0"),
        ("/rpn/nms_threshold", json!(1.5), "rpn.nms_threshold is 1.5"),
        ("/box_head/resolution", json!(0), "box_head.resolution is 0"),
        ("/box_head/resolution", json!(100_000), "box_head.resolution is 100000"),
        ("/box_head/sampling_ratio", json!(1000), "box_head.sampling_ratio is 1000"),
        ("/box_head/features", json!([]), "box_head.features is empty"),
        ("/box_head/features", json!(["p2", "p9"]), "names \"p9\""),
        ("/box_head/features", json!(["p2", "p2"]), "names \"p2\" twice"),
        ("/box_head/features", json!(["p2", "p4"]), "strides [4, 16]"),
        ("/box_head/canonical_size", json!(0), "box_head.canonical_size"),
        ("/box_head/scores", json!("box_deltas"), "names \"box_deltas\" twice"),
        ("/box_head/classes", json!(["cat", "background"]), "without \"person\""),
        ("/box_head/classes", json!(["person"]), "has no background"),
        ("/box_head/classes", json!(["person", "person"]), "names \"person\" twice"),
        ("/box_head/score_threshold", json!(-0.1), "box_head.score_threshold is -0.1"),
        ("/box_head/nms_threshold", json!(2), "box_head.nms_threshold is 2"),
        ("/box_head/max_detections", json!(0), "box_head.max_detections is 0"),
        ("/densepose_head/resolution", json!(0), "densepose_head.resolution is 0"),
        ("/densepose_head/features", json!(["p2", "p4"]), "densepose_head.features have the strides [4, 16]"),
        ("/densepose_head/v", json!("u"), "names \"u\" twice"),
        ("/densepose_head/sure_from", json!(1.5), "densepose_head.sure_from is 1.5"),
        ("/densepose_head/margin", json!(-0.1), "densepose_head.margin is -0.1"),
        ("/densepose_head/nms_iou", json!(1.1), "densepose_head.nms_iou is 1.1"),
        ("/densepose_head/nms_shared", json!(-1), "densepose_head.nms_shared is -1"),
    ];
    for (pointer, value, expected) in table {
        let directory = changed(&[(pointer, value.clone())]);
        assert_explains(&problem(directory.path()), &["model.json", expected, "export the model again"]);
    }
}

#[test]
fn damaged_networks_are_found_by_their_checksums() {
    for stage in ["trunk", "box_head", "densepose_head"] {
        let directory = changed(&[]);
        let file = directory.path().join(format!("{stage}.onnx"));
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let name = file.display().to_string();
        assert_explains(&problem(directory.path()), &[&name, "SHA-256", "the manifest expects", "copy the whole"]);
        bytes.truncate(middle);
        fs::write(&file, &bytes).unwrap();
        assert_explains(&problem(directory.path()), &[&name, "SHA-256"]);
    }
}

#[test]
fn what_is_no_network_is_refused_though_its_checksum_is_right() {
    for stage in ["trunk", "box_head", "densepose_head"] {
        let whole = fs::read(tiny().join(format!("{stage}.onnx"))).unwrap();
        let parts = [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1].map(|length| &whole[..length]);
        for bytes in parts.into_iter().chain([&b"this is text, and no network at all"[..]]) {
            let directory = with_network(stage, bytes);
            let message = problem(directory.path());
            assert_explains(&message, &[&format!("{stage}.onnx"), "export the model again"]);
        }
    }
}

#[test]
fn networks_that_do_not_fit_the_manifest_are_refused() {
    let table = [
        ("/input/name", json!("picture"), "trunk.onnx", "has the inputs [\"image\"]"),
        ("/rpn/levels/0/objectness", json!("logits"), "trunk.onnx", "has no output \"logits\""),
        ("/rpn/levels/0/sizes", json!([32, 64]), "trunk.onnx", "puts out \"objectness_p2\" with the shape"),
        ("/rpn/levels/4/stride", json!(32), "trunk.onnx", "puts out \"objectness_p6\" with the shape"),
        ("/rpn/aspect_ratios", json!([1]), "trunk.onnx", "puts out \"objectness_p2\" with the shape"),
        ("/box_head/input", json!("boxes"), "box_head.onnx", "has the inputs [\"rois\"]"),
        ("/box_head/scores", json!("logits"), "box_head.onnx", "has no output \"logits\""),
        ("/box_head/resolution", json!(9), "box_head.onnx", ""),
        ("/box_head/classes", json!(["person", "cat", "background"]), "box_head.onnx", "puts out \"scores\""),
        ("/box_head/deltas", json!("scores_again"), "box_head.onnx", "has no output \"scores_again\""),
        ("/densepose_head/fine", json!("index"), "densepose_head.onnx", "has no output \"index\""),
        ("/densepose_head/coarse", json!("none"), "densepose_head.onnx", "has no output \"none\""),
    ];
    for (pointer, value, file, expected) in table {
        let directory = changed(&[(pointer, value.clone())]);
        assert_explains(&problem(directory.path()), &[file, expected, "export the model again"]);
    }
    // All features at once, as the heads demand the same number of channels of all.
    let channels: Vec<(String, Value)> = (0..4).map(|i| (format!("/features/{i}/channels"), json!(32))).collect();
    let channels: Vec<(&str, Value)> = channels.iter().map(|(pointer, value)| (&**pointer, value.clone())).collect();
    assert_explains(&problem(changed(&channels).path()), &["onnx", "export the model again"]);
    // Heads in each other's place.
    let head = fs::read(tiny().join("box_head.onnx")).unwrap();
    assert_explains(&problem(with_network("densepose_head", &head).path()), &["densepose_head.onnx", "no output"]);
    assert_explains(&problem(with_network("trunk", &head).path()), &["trunk.onnx", "has the inputs [\"rois\"]"]);
    // Other outputs of the right kind at the wrong place.
    let swapped = changed(&[("/densepose_head/coarse", json!("fine")), ("/densepose_head/fine", json!("coarse"))]);
    assert_explains(&problem(swapped.path()), &["densepose_head.onnx", "puts out \"coarse\" with the shape"]);
}

#[test]
fn given_boxes_are_mapped_as_found_ones_are() {
    let mut estimator = estimator(Options::default());
    let (data, width, height) = picture();
    let image = Image::rgb(width, height, &data).unwrap();
    let reference = reference();
    let found: Vec<Rect> = reference.get("boxes").items().map(|b| Rect::new(b[0], b[1], b[2], b[3])).collect();
    let outside = Rect::new(-50.0, -50.0, -10.0, -10.0);
    let boxes: Vec<Rect> = found.iter().rev().copied().chain([outside]).collect();
    let persons = estimator.estimate_boxes(&image, &boxes).unwrap();
    assert_eq!(persons.len(), found.len());
    for (person, i) in persons.iter().zip((0..found.len()).rev()) {
        assert_eq!(person.score, 1.0);
        let want = reference.get(&format!("iuv_{i}"));
        // Scaling there and back may move an edge across a pixel's.
        assert!(person.width().abs_diff(want.shape[1]) <= 1 && person.height().abs_diff(want.shape[0]) <= 1);
        if (person.width(), person.height()) == (want.shape[1], want.shape[0]) {
            let (same, off) = compare(person.iuv.data(), &want.bytes());
            assert!(same > 0.999 && off <= 1, "person {i}: {same} of the parts are the same, U and V off by {off}");
        }
    }
    assert_eq!(estimator.estimate_boxes(&image, &[]).unwrap(), []);
}

/// Made of the tiny model by `zoo.quantize`: int8 weights and uint8 activations.
fn tiny_int8() -> Model {
    Model::open(tiny().with_file_name("tiny-int8")).unwrap()
}

/// Root of the mean squared difference, relative to that of `want`.
fn relative_rms(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let off = squares(&mut got.iter().zip(want).map(|(a, b)| a - b));
    (off / squares(&mut want.iter().copied()).max(1e-12)).sqrt()
}

// Bounds as in the zoo's test_quantize.py: layers of random weights amplify what rounding does.
#[test]
fn a_model_in_8_bits_computes_what_the_float_one_does() {
    let (model, reference, threads) = (tiny_int8(), reference(), Threads::one());
    let size = input_size(&model);
    let mut trunk = Trunk::load(&model, &backend()).unwrap();
    trunk.prepare(model.manifest(), (size.padded_width, size.padded_height), &threads).unwrap();
    trunk.input().copy_from_slice(&reference.channels_last("input").data);
    let pyramid = trunk.run().unwrap();
    for (map, name) in pyramid.features(model.manifest()).iter().zip(FEATURES) {
        let off = relative_rms(map.data, &reference.channels_last(name).data);
        assert!(off > 0.0 && off < 0.5, "{name}: {off}");
    }

    let features = features(&model, &reference);
    let proposals = scored(reference.get("proposals"), reference.get("proposal_logits"));
    let verdicts =
        BoxHead::load(&model, &threads, &backend()).unwrap().judge(&features, &proposals, &Timings::default()).unwrap();
    let logits: Vec<f32> = verdicts.iter().flat_map(|v| v.logits.clone()).collect();
    let off = relative_rms(&logits, &reference.get("box_scores").data);
    assert!(off > 0.0 && off < 0.1, "scores: {off}");

    let detections = scored(reference.get("detections"), reference.get("detection_scores"));
    let boxes: Vec<Rect> = detections[..1].iter().map(|d| d.rect).collect();
    let mut head = DensePoseHead::load(&model, &threads, &backend()).unwrap();
    let charts = head
        .map(&features, &boxes, &Timings::default(), |_, charts| {
            [charts.coarse, charts.fine, charts.u, charts.v].map(|p| p.data.to_vec())
        })
        .unwrap();
    for (got, name) in charts[0].iter().zip(["coarse", "fine", "u", "v"]) {
        let off = relative_rms(got, &reference.channels_last(name).data);
        assert!(off > 0.0 && off < 0.2, "{name}: {off}");
    }
}

#[test]
fn a_model_in_8_bits_finds_people_in_pictures_of_any_size() {
    let mut estimator = Estimator::with_backend(&tiny_int8(), Options::default(), &backend()).unwrap();
    let (data, width, height) = picture();
    let persons = estimator.estimate(&Image::rgb(width, height, &data).unwrap()).unwrap();
    assert!(!persons.is_empty() && persons.iter().any(|p| p.iuv.data().iter().any(|&v| v > 0)));
    let gray = vec![99; 300 * 100 * 3];
    estimator.estimate(&Image::rgb(300, 100, &gray).unwrap()).unwrap();
}
