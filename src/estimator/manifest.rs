//! `model.json`: what a model directory says about its networks. Everything the estimator needs to run networks of
//! other backbones, channels, sizes and thresholds is here; nothing of it is in the code.

use std::collections::HashSet;
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Error, Result};

/// What `format` must say.
pub const FORMAT: &str = "densepose-model";
/// The version of the format that this code reads.
pub const VERSION: u32 = 1;

/// A whole manifest, checked. Fields that are not known here are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    pub format: String,
    pub version: u32,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub licence: String,
    /// Where the weights come from, free-form.
    #[serde(default)]
    pub provenance: Map<String, Value>,
    pub input: Input,
    pub stages: Stages,
    /// Feature maps that the trunk puts out.
    pub features: Vec<Feature>,
    pub rpn: Rpn,
    pub box_head: BoxHead,
    pub densepose_head: DensePoseHead,
}

/// What the trunk wants to be fed: `(value - mean) / std` of values 0..=255.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    pub name: String,
    pub channel_order: ChannelOrder,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Length of the frame's shorter side in the network, in pixels.
    pub short_side: usize,
    /// Bound of the longer side, in pixels.
    pub max_long_side: usize,
    /// Frames are padded right and bottom to a multiple of this.
    pub size_divisor: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum ChannelOrder {
    #[serde(rename = "RGB")]
    Rgb,
    #[serde(rename = "BGR")]
    Bgr,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Stages {
    pub trunk: Stage,
    pub box_head: Stage,
    pub densepose_head: Stage,
}

/// One ONNX file.
#[derive(Clone, Debug, Deserialize)]
pub struct Stage {
    /// Path inside the model directory.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// A feature map of the trunk, `(1, channels, height / stride, width / stride)`.
#[derive(Clone, Debug, Deserialize)]
pub struct Feature {
    pub output: String,
    pub stride: usize,
    pub channels: usize,
}

/// Region proposals from the trunk's outputs.
#[derive(Clone, Debug, Deserialize)]
pub struct Rpn {
    pub levels: Vec<RpnLevel>,
    /// Height over width of the anchors.
    pub aspect_ratios: Vec<f32>,
    /// Shift of the anchors' centres, in strides.
    pub offset: f32,
    /// Divisors of the deltas dx, dy, dw, dh.
    pub box_weights: [f32; 4],
    pub pre_nms_topk: usize,
    pub nms_threshold: f32,
    pub post_nms_topk: usize,
}

/// One level of the pyramid: trunk outputs and the anchors they speak of.
#[derive(Clone, Debug, Deserialize)]
pub struct RpnLevel {
    pub objectness: String,
    pub deltas: String,
    pub stride: usize,
    /// Square roots of the anchors' areas, in network pixels.
    pub sizes: Vec<f32>,
}

/// The head that scores and refines proposals.
#[derive(Clone, Debug, Deserialize)]
pub struct BoxHead {
    #[serde(flatten)]
    pub pooler: Pooler,
    /// Output (N, classes) of logits.
    pub scores: String,
    /// Output (N, 4) of box deltas.
    pub deltas: String,
    /// Meaning of the columns of `scores`; one is `person`.
    pub classes: Vec<String>,
    pub box_weights: [f32; 4],
    pub score_threshold: f32,
    pub nms_threshold: f32,
    pub max_detections: usize,
}

/// The head that says for each pixel of a box which part of the body it shows.
#[derive(Clone, Debug, Deserialize)]
pub struct DensePoseHead {
    #[serde(flatten)]
    pub pooler: Pooler,
    /// Output (N, C, h, w) of logits, channel 0 background.
    pub coarse: String,
    /// Output (N, 25, h, w) of logits, channel 0 background.
    pub fine: String,
    /// Outputs (N, 25, h, w) of chart coordinates.
    pub u: String,
    pub v: String,
    /// How far a map reaches beyond the detected box on each side, in box sides, 0..=1; 0 where it is not there.
    #[serde(default)]
    pub margin: f32,
    /// Certainty of a person's map ([`Charts::certainty`](super::charts::Charts::certainty)), 0..=1, below which the score
    /// falls in proportion; 0 where the score is the box head's alone.
    #[serde(default)]
    pub sure_from: f32,
    /// Of two maps that overlap by an IoU of more than this, 0..=1, the worse is dropped where the better one ...
    #[serde(default = "never")]
    pub nms_iou: f32,
    /// ... shows more than this share, 0..=1, of its body's pixels: then they are one person, not one behind the other.
    #[serde(default = "half")]
    pub nms_shared: f32,
}

/// No two maps overlap by more than an IoU of 1.
fn never() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
}

/// How a head's input is cut out of the feature maps.
#[derive(Clone, Debug, Deserialize)]
pub struct Pooler {
    /// Name of the head's input, (N, channels, resolution, resolution).
    pub input: String,
    /// Feature maps to read from, by their output names; of several each box has the one that fits its size.
    pub features: Vec<String>,
    /// A box of this size (square root of the area, in network pixels) ...
    #[serde(default = "canonical_size")]
    pub canonical_size: f32,
    /// ... is read from the feature map of stride `2^canonical_level`.
    #[serde(default = "canonical_level")]
    pub canonical_level: i32,
    pub resolution: usize,
    /// Samples per bin along each axis; 0 takes as many as the bin has cells.
    pub sampling_ratio: usize,
    /// Whether box coordinates are shifted by half a cell, so that they hit the centres of cells.
    pub aligned: bool,
}

/// What Feature Pyramid Networks (Lin et al. 2017) takes.
fn canonical_size() -> f32 {
    224.0
}

fn canonical_level() -> i32 {
    4
}

/// As much of a manifest as tells whether its model is one of continuous surface embeddings, which have no charts.
#[derive(Deserialize)]
struct Kind {
    densepose_head: Outputs,
}

#[derive(Deserialize)]
struct Outputs {
    embedding: Option<String>,
    fine: Option<String>,
}

/// The class that the estimator keeps.
pub const PERSON: &str = "person";

impl Manifest {
    /// Reads and checks a manifest; `file` names it in errors.
    pub fn parse(file: &str, json: &[u8]) -> Result<Self> {
        if let Ok(Kind { densepose_head: Outputs { embedding: Some(_), fine: None } }) = serde_json::from_slice(json) {
            return Err(Error::Embedding { file: file.into() });
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|source| Error::Json { file: file.into(), source })?;
        match manifest.check() {
            Ok(()) => Ok(manifest),
            Err((field, problem)) => Err(Error::Manifest { file: file.into(), field, problem }),
        }
    }

    /// Index of the column of [`PERSON`] in the box head's scores.
    pub fn person_class(&self) -> usize {
        self.box_head.classes.iter().position(|c| c == PERSON).unwrap_or(0)
    }

    /// Index of a feature map by its output name.
    pub fn feature(&self, output: &str) -> Option<usize> {
        self.features.iter().position(|f| f.output == output)
    }

    fn check(&self) -> Check {
        let Self { format, version, .. } = self;
        ensure(format == FORMAT, "format", || format!("is \"{format}\", expected \"{FORMAT}\""))?;
        ensure(*version == VERSION, "version", || {
            format!("is {version}, this library reads version {VERSION}: use a matching library")
        })?;
        self.input.check()?;
        for (field, stage) in [
            ("stages.trunk", &self.stages.trunk),
            ("stages.box_head", &self.stages.box_head),
            ("stages.densepose_head", &self.stages.densepose_head),
        ] {
            stage.check(field)?;
        }
        self.check_features()?;
        self.rpn.check(self.input.size_divisor)?;
        self.check_trunk_outputs()?;
        self.box_head.check(self)?;
        self.densepose_head.check(self)
    }

    fn check_features(&self) -> Check {
        ensure(!self.features.is_empty(), "features", || "is empty".into())?;
        for (i, feature) in self.features.iter().enumerate() {
            let field = format!("features[{i}]");
            stride("stride", feature.stride, self.input.size_divisor).map_err(inside(&field))?;
            within("channels", feature.channels, 1, 65536).map_err(inside(&field))?;
        }
        Ok(())
    }

    /// No two outputs of the trunk may share a name.
    fn check_trunk_outputs(&self) -> Check {
        let levels = self.rpn.levels.iter().flat_map(|l| [&l.objectness, &l.deltas]);
        unique("features and rpn.levels", self.features.iter().map(|f| &f.output).chain(levels))
    }
}

impl Input {
    fn check(&self) -> Check {
        let all = |v: &[f32; 3], f: fn(f32) -> bool| v.iter().all(|&x| x.is_finite() && f(x));
        ensure(all(&self.mean, |_| true), "input.mean", || "holds no finite number".into())?;
        ensure(all(&self.std, |s| s > 0.0), "input.std", || format!("is {:?}, must be positive", self.std))?;
        within("input.short_side", self.short_side, 1, 4096)?;
        within("input.max_long_side", self.max_long_side, self.short_side, 8192)?;
        within("input.size_divisor", self.size_divisor, 1, 256)
    }
}

impl Stage {
    fn check(&self, field: &str) -> Check {
        let inside_directory = !self.file.is_empty()
            && !self.file.contains('\\')
            && Path::new(&self.file).components().all(|c| matches!(c, Component::Normal(_)));
        ensure(inside_directory, &format!("{field}.file"), || {
            format!("is \"{}\", which is no path inside the model directory", self.file)
        })?;
        let hex = self.sha256.len() == 64 && self.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        ensure(hex, &format!("{field}.sha256"), || "is not 64 hexadecimal digits".into())
    }
}

impl Rpn {
    /// Anchors at each cell of a level.
    pub fn anchors(&self, level: &RpnLevel) -> usize {
        level.sizes.len() * self.aspect_ratios.len()
    }

    fn check(&self, size_divisor: usize) -> Check {
        ensure(!self.levels.is_empty(), "rpn.levels", || "is empty".into())?;
        for (i, level) in self.levels.iter().enumerate() {
            let field = format!("rpn.levels[{i}]");
            // The coarsest level may be a subsampled one, so its stride need not divide the frame.
            within("stride", level.stride, 1, 64 * size_divisor).map_err(inside(&field))?;
            positive("sizes", &level.sizes).map_err(inside(&field))?;
        }
        positive("rpn.aspect_ratios", &self.aspect_ratios)?;
        ensure(self.offset.is_finite(), "rpn.offset", || "is no finite number".into())?;
        positive("rpn.box_weights", &self.box_weights)?;
        within("rpn.pre_nms_topk", self.pre_nms_topk, 1, 100_000)?;
        fraction("rpn.nms_threshold", self.nms_threshold)?;
        within("rpn.post_nms_topk", self.post_nms_topk, 1, 10_000)
    }
}

impl BoxHead {
    fn check(&self, manifest: &Manifest) -> Check {
        let at = inside("box_head");
        self.pooler.check(manifest).map_err(&at)?;
        unique("box_head outputs", [&self.scores, &self.deltas])?;
        unique("box_head.classes", &self.classes)?;
        ensure(self.classes.iter().any(|c| c == PERSON), "box_head.classes", || {
            format!("is {:?}, without \"{PERSON}\"", self.classes)
        })?;
        ensure(self.classes.len() > 1, "box_head.classes", || "has no background".into())?;
        positive("box_weights", &self.box_weights).map_err(&at)?;
        fraction("score_threshold", self.score_threshold).map_err(&at)?;
        fraction("nms_threshold", self.nms_threshold).map_err(&at)?;
        within("max_detections", self.max_detections, 1, 10_000).map_err(&at)
    }
}

impl DensePoseHead {
    /// The share that is left of a person's score, 0..=1; the `certainty` of the map is asked for where it counts.
    pub fn trust(&self, certainty: impl FnOnce() -> f32) -> f32 {
        if self.sure_from > 0.0 { (certainty() / self.sure_from).min(1.0) } else { 1.0 }
    }

    fn check(&self, manifest: &Manifest) -> Check {
        self.pooler.check(manifest).map_err(inside("densepose_head"))?;
        fraction("margin", self.margin).map_err(inside("densepose_head"))?;
        fraction("sure_from", self.sure_from).map_err(inside("densepose_head"))?;
        fraction("nms_iou", self.nms_iou).map_err(inside("densepose_head"))?;
        fraction("nms_shared", self.nms_shared).map_err(inside("densepose_head"))?;
        unique("densepose_head outputs", [&self.coarse, &self.fine, &self.u, &self.v])
    }
}

impl Pooler {
    fn check(&self, manifest: &Manifest) -> Check {
        ensure(!self.features.is_empty(), "features", || "is empty".into())?;
        unique("features", &self.features)?;
        let mut channels = None;
        for name in &self.features {
            let Some(index) = manifest.feature(name) else {
                return Err(("features".into(), format!("names \"{name}\", which the trunk does not put out")));
            };
            let here = manifest.features[index].channels;
            ensure(*channels.get_or_insert(here) == here, "features", || "have different numbers of channels".into())?;
        }
        // Levels follow from the logarithm of the box size, so the maps must halve from one to the next.
        let strides: Vec<usize> =
            self.features.iter().filter_map(|f| Some(manifest.features[manifest.feature(f)?].stride)).collect();
        let halving = strides.iter().all(|s| s.is_power_of_two()) && strides.windows(2).all(|w| w[1] == 2 * w[0]);
        ensure(halving || strides.len() == 1, "features", || {
            format!("have the strides {strides:?}, each must be a power of two and twice the one before")
        })?;
        positive("canonical_size", &[self.canonical_size])?;
        within("resolution", self.resolution, 1, 256)?;
        within("sampling_ratio", self.sampling_ratio, 0, 64)
    }
}

/// The field at fault and what is wrong with it.
type Check = std::result::Result<(), (String, String)>;

/// Puts a field's owner before its name.
fn inside(owner: &str) -> impl Fn((String, String)) -> (String, String) {
    move |(field, problem)| (format!("{owner}.{field}"), problem)
}

fn ensure(ok: bool, field: &str, problem: impl FnOnce() -> String) -> Check {
    if ok { Ok(()) } else { Err((field.into(), problem())) }
}

fn within(field: &str, value: usize, low: usize, high: usize) -> Check {
    ensure((low..=high).contains(&value), field, || format!("is {value}, must be between {low} and {high}"))
}

fn fraction(field: &str, value: f32) -> Check {
    ensure((0.0..=1.0).contains(&value), field, || format!("is {value}, must be between 0 and 1"))
}

fn positive(field: &str, values: &[f32]) -> Check {
    let ok = !values.is_empty() && values.iter().all(|v| v.is_finite() && *v > 0.0);
    ensure(ok, field, || format!("is {values:?}, must be positive numbers"))
}

/// Feature maps must fit the padded frame without remainder.
fn stride(field: &str, stride: usize, size_divisor: usize) -> Check {
    ensure(stride > 0 && size_divisor.is_multiple_of(stride), field, || {
        format!("is {stride}, must divide input.size_divisor {size_divisor}")
    })
}

fn unique<'a>(field: &str, names: impl IntoIterator<Item = &'a String>) -> Check {
    let mut seen = HashSet::new();
    for name in names {
        ensure(!name.is_empty(), field, || "holds an empty name".into())?;
        ensure(seen.insert(name), field, || format!("names \"{name}\" twice"))?;
    }
    Ok(())
}
