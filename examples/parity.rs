//! Proves that the estimator computes what the published PyTorch code computes, stage by stage and as a whole.
//!
//!     cargo run --release --example parity -- --model DIR --picture PNG --reference NPZ
//!
//! DIR is the checkpoint, imported by `python -m zoo.import_checkpoint`; NPZ holds what the published code computes with
//! it on the picture: `input_resized_rgb_u8`, `feat_p2` .. `feat_p5`, `rpn_logits_p2` .. `rpn_deltas_p6`, `proposals`,
//! `proposal_logits`, `box_roi_feats_first64`, `box_cls_logits`, `box_deltas`, `det_boxes_resized`, `det_scores`,
//! `dp_roi_feats_first4`, `S`, `I`, `U`, `V`, `final_boxes_orig`, `final_scores`, `result0_labels`, `result0_uv`, ...
//! Each stage gets the reference's input of that stage; the last check runs everything at once. The exit code is 1
//! where something differs by more than it may.

use std::error::Error;
use std::process::ExitCode;

use gstdensepose::estimator::anchors::{LevelOutput, propose};
use gstdensepose::estimator::boxes::{Rect, Scored};
use gstdensepose::estimator::charts::{Charts, Grid};
use gstdensepose::estimator::detections::{Verdict, detect};
use gstdensepose::estimator::roi_align::{FeatureMap, RoiAlign, level_of};
use gstdensepose::estimator::stages::{BoxHead, DensePoseHead, Trunk};
use gstdensepose::estimator::{Backend, Estimator, Manifest, Model, Options, Threads, Timings};
use gstdensepose::frame::{InputSize, Sampler};
use gstdensepose::image::Image;
use gstdensepose::person::{IuvMap, Person};

#[path = "../tests/support/npz.rs"]
mod npz;
use npz::{Array, Arrays};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(0) => {
            println!("parity: everything within bounds");
            ExitCode::SUCCESS
        }
        Ok(failures) => {
            println!("parity: {failures} out of bounds");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("parity: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    let [model, picture, reference] = arguments(["--model", "--picture", "--reference"])?;
    let model = Model::open(model)?;
    let picture = image::open(picture)?.to_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let picture = Image::rgb(width, height, &picture)?;
    let reference = Arrays::open(reference)?;

    let mut report = Report::default();
    stages(&model, &picture, &reference, &mut report)?;
    let mut estimator = Estimator::new(&model, Options::default())?;
    whole(&estimator.estimate(&picture)?, &reference, &mut report);
    Ok(report.failures)
}

fn arguments<const N: usize>(names: [&str; N]) -> Result<[String; N]> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let given = arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
        given.cloned().ok_or_else(|| format!("give {}", names.join(" ..., ") + " ..."))
    };
    let values = names.iter().map(|name| value(name)).collect::<std::result::Result<Vec<_>, _>>()?;
    values.try_into().map_err(|_| "as many values as names".into())
}

/// Collects and prints comparisons.
#[derive(Default)]
struct Report {
    failures: usize,
}

impl Report {
    fn check(&mut self, what: &str, figure: &str, ok: bool) {
        println!("{} {what:<34} {figure}", if ok { "ok  " } else { "FAIL" });
        self.failures += usize::from(!ok);
    }

    /// Root mean square of the difference over that of the reference.
    fn rms(&mut self, what: &str, got: &[f32], want: &[f32]) {
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let error = (square(&mut got.iter().zip(want).map(|(a, b)| a - b)) / square(&mut want.iter().copied())).sqrt();
        let same_length = got.len() == want.len();
        self.check(what, &format!("relative rms {error:.1e}"), same_length && error < 1e-4);
    }

    fn largest(&mut self, what: &str, got: &[f32], want: &[f32], bound: f32) {
        let error = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let figure = format!("{} of {} values, largest difference {error:.1e}", got.len(), want.len());
        self.check(what, &figure, got.len() == want.len() && error <= bound);
    }
}

const LEVELS: [&str; 5] = ["p2", "p3", "p4", "p5", "p6"];

fn stages(model: &Model, picture: &Image, reference: &Arrays, report: &mut Report) -> Result<()> {
    let manifest = model.manifest();
    let size = InputSize::new((picture.width(), picture.height()), 1.0, 0, &manifest.input);

    // Without normalisation the input is the resized picture.
    let mut plain = manifest.input.clone();
    (plain.mean, plain.std) = ([0.0; 3], [1.0; 3]);
    let mut pixels = vec![0.0; 3 * size.padded_width * size.padded_height];
    Sampler::new(&plain).sample(picture, size, &Threads::one(), &mut pixels);
    let resized = unpadded(&pixels, size);
    report.largest("resized picture", &resized, &reference.get("input_resized_rgb_u8").data, 0.0);

    let mut trunk = Trunk::load(model, &Backend::Tract)?;
    trunk.prepare(manifest, (size.padded_width, size.padded_height), &Threads::new(0)?)?;
    Sampler::new(&manifest.input).sample(picture, size, &Threads::one(), trunk.input());
    let pyramid = trunk.run()?;
    for (map, level) in pyramid.features(manifest).iter().zip(LEVELS) {
        report.rms(&format!("features {level}"), map.data, &reference.channels_last(&format!("feat_{level}")).data);
    }
    for (output, level) in pyramid.levels(manifest).iter().zip(LEVELS) {
        report.rms(
            &format!("objectness {level}"),
            output.objectness,
            &reference.channels_last(&format!("rpn_logits_{level}")).data,
        );
        report.rms(
            &format!("deltas {level}"),
            output.deltas,
            &reference.channels_last(&format!("rpn_deltas_{level}")).data,
        );
    }

    let levels: Vec<(&Array, &Array)> = LEVELS
        .iter()
        .map(|l| {
            (reference.channels_last(&format!("rpn_logits_{l}")), reference.channels_last(&format!("rpn_deltas_{l}")))
        })
        .collect();
    let levels: Vec<LevelOutput> = levels
        .iter()
        .map(|(o, d)| LevelOutput { objectness: &o.data, deltas: &d.data, height: o.shape[1], width: o.shape[2] })
        .collect();
    let proposals = propose(&manifest.rpn, &levels, (size.width, size.height), manifest.rpn.post_nms_topk);
    report.largest("proposals, px", &edges(&proposals), &reference.get("proposals").data, 1e-2);
    report.largest("logits of proposals", &scores(&proposals), &reference.get("proposal_logits").data, 1e-4);

    let features: Vec<&Array> =
        LEVELS[..4].iter().map(|level| reference.channels_last(&format!("feat_{level}"))).collect();
    let features: Vec<FeatureMap> = features.iter().zip(&manifest.features).map(|(a, f)| map(a, f.stride)).collect();
    let proposals = scored(reference.get("proposals"), reference.get("proposal_logits"));
    box_pooling(manifest, &features, &proposals, reference.channels_last("box_roi_feats_first64"), report);
    let (threads, timings) = (Threads::one(), Timings::default());
    let verdicts = BoxHead::load(model, &threads, &Backend::Tract)?.judge(&features, &proposals, &timings)?;
    let logits: Vec<f32> = verdicts.iter().flat_map(|v| v.logits.clone()).collect();
    let deltas: Vec<f32> = verdicts.iter().flat_map(|v| v.deltas).collect();
    report.rms("box head logits", &logits, &reference.get("box_cls_logits").data);
    report.rms("box head deltas", &deltas, &reference.get("box_deltas").data);

    let (logits, deltas) = (reference.get("box_cls_logits").items(), reference.get("box_deltas").items());
    let verdicts: Vec<Verdict> = logits
        .zip(deltas)
        .map(|(logits, deltas)| Verdict {
            logits: logits.to_vec(),
            deltas: [deltas[0], deltas[1], deltas[2], deltas[3]],
        })
        .collect();
    let config = &manifest.box_head;
    let limits = (config.score_threshold, config.max_detections);
    let detections = detect(config, manifest.person_class(), &proposals, &verdicts, size, limits);
    report.largest("detections, px", &edges(&detections), &reference.get("det_boxes_resized").data, 1e-2);
    report.largest("scores of detections", &scores(&detections), &reference.get("det_scores").data, 1e-5);

    let detections = scored(reference.get("det_boxes_resized"), reference.get("det_scores"));
    let boxes: Vec<Rect> = detections.iter().map(|d| d.rect).collect();
    let pooler = &manifest.densepose_head.pooler;
    let align =
        RoiAlign { resolution: pooler.resolution, sampling_ratio: pooler.sampling_ratio, aligned: pooler.aligned };
    let want = reference.channels_last("dp_roi_feats_first4");
    for (index, want) in want.items().enumerate() {
        let mut got = vec![0.0; want.len()];
        align.pool(&features[0], &boxes[index], &mut got);
        report.rms(&format!("DensePose pooling {index}"), &got, want);
    }

    let outputs = ["S", "I", "U", "V"].map(|name| reference.channels_last(name));
    let count = outputs[0].shape[0];
    let charts = DensePoseHead::load(model, &threads, &Backend::Tract)?.map(
        &features,
        &boxes[..count],
        &timings,
        |_, charts| [charts.coarse, charts.fine, charts.u, charts.v].map(|grid| grid.data.to_vec()),
    )?;
    for (index, got) in charts.iter().enumerate() {
        for ((got, want), name) in got.iter().zip(outputs).zip(["S", "I", "U", "V"]) {
            let want = want.items().nth(index).unwrap_or_default();
            report.rms(&format!("DensePose head {name} {index}"), got, want);
        }
    }
    for index in 0..count {
        let [coarse, fine, u, v] = outputs.map(|array| Grid {
            data: array.items().nth(index).unwrap_or_default(),
            height: array.shape[1],
            width: array.shape[2],
            channels: array.shape[3],
        });
        let labels = reference.get(&format!("result{index}_labels"));
        let map = Charts { coarse, fine, u, v }.to_iuv(labels.shape[1], labels.shape[0], &threads);
        compare_map(&format!("charts {index}"), &map, reference, index, report);
    }
    Ok(())
}

fn box_pooling(manifest: &Manifest, maps: &[FeatureMap], proposals: &[Scored], want: &Array, report: &mut Report) {
    let config = &manifest.box_head;
    let pooler = &config.pooler;
    let align =
        RoiAlign { resolution: pooler.resolution, sampling_ratio: pooler.sampling_ratio, aligned: pooler.aligned };
    let maps: Vec<&FeatureMap> = maps.iter().collect();
    let mut got = vec![0.0; want.data.len()];
    for (got, proposal) in got.chunks_exact_mut(want.shape[1..].iter().product()).zip(proposals) {
        let level = level_of(&proposal.rect, &maps, config.pooler.canonical_size, config.pooler.canonical_level);
        align.pool(maps[level], &proposal.rect, got);
    }
    report.rms("box pooling", &got, &want.data);
}

/// Everything at once, from the picture to the people in it.
fn whole(persons: &[Person], reference: &Arrays, report: &mut Report) {
    let (boxes, scores) = (reference.get("final_boxes_orig"), reference.get("final_scores"));
    let count = format!("{} of {}", persons.len(), scores.data.len());
    report.check("persons", &count, persons.len() == scores.data.len());
    for (index, (person, (want, score))) in persons.iter().zip(boxes.items().zip(&scores.data)).enumerate() {
        let got = [person.x as f32, person.y as f32, person.width() as f32, person.height() as f32];
        let want = [want[0], want[1], want[2] - want[0], want[3] - want[1]].map(f32::trunc);
        let off = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let score_off = (person.score - score).abs();
        let figure = format!("{got:?} off by {off} px, score {:.4} off by {score_off:.1e}", person.score);
        report.check(&format!("person {index}"), &figure, off <= 1.0 && score_off <= 1e-3);
    }
    for (index, person) in persons.iter().enumerate().take(4) {
        compare_map(&format!("map of person {index}"), &person.iuv, reference, index, report);
    }
}

/// Labels and coordinates of one person against the reference's.
fn compare_map(what: &str, map: &IuvMap, reference: &Arrays, index: usize, report: &mut Report) {
    let labels = reference.get(&format!("result{index}_labels"));
    let uv = reference.get(&format!("result{index}_uv"));
    if [map.height(), map.width()] != labels.shape[..] {
        return report.check(what, &format!("{}x{} for {:?}", map.width(), map.height(), labels.shape), false);
    }
    let (u, v) = uv.data.split_at(labels.data.len());
    let pixels = map.data().as_chunks::<3>().0;
    let (mut equal, mut largest) = (0, 0.0_f32);
    for ((pixel, &label), (u, v)) in pixels.iter().zip(&labels.data).zip(u.iter().zip(v)) {
        if f32::from(pixel[0]) == label {
            equal += 1;
            if label > 0.0 {
                let off = |byte: u8, value: f32| (f32::from(byte) - 255.0 * value.clamp(0.0, 1.0)).abs();
                largest = largest.max(off(pixel[1], *u)).max(off(pixel[2], *v));
            }
        }
    }
    let share = 100.0 * f64::from(equal) / pixels.len() as f64;
    let figure = format!("{share:.3} % of labels equal, U V off by at most {largest:.2}/255");
    report.check(what, &figure, share >= 99.5 && largest < 1.0);
}

/// (padded height, padded width, 3) -> (height, width, 3).
fn unpadded(pixels: &[f32], size: InputSize) -> Vec<f32> {
    let rows = pixels.chunks_exact(3 * size.padded_width).take(size.height);
    rows.flat_map(|row| row[..3 * size.width].to_vec()).collect()
}

fn map(array: &Array, stride: usize) -> FeatureMap<'_> {
    FeatureMap { data: &array.data, height: array.shape[1], width: array.shape[2], channels: array.shape[3], stride }
}

fn edges(boxes: &[Scored]) -> Vec<f32> {
    boxes.iter().flat_map(|b| [b.rect.x0, b.rect.y0, b.rect.x1, b.rect.y1]).collect()
}

fn scores(boxes: &[Scored]) -> Vec<f32> {
    boxes.iter().map(|b| b.score).collect()
}

fn scored(boxes: &Array, scores: &Array) -> Vec<Scored> {
    let rects = boxes.items().map(|b| Rect::new(b[0], b[1], b[2], b[3]));
    rects.zip(&scores.data).map(|(rect, &score)| Scored { rect, score }).collect()
}
