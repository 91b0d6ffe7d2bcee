//! The three networks of a model, between plain numbers and the runtime: what goes in, what comes out, on which threads.

use std::sync::Arc;

use super::anchors::LevelOutput;
use super::backend::Backend;
use super::boxes::{Rect, Scored};
use super::charts::{Charts, Grid};
use super::detections::Verdict;
use super::engine::{Output, Program, Runner};
use super::error::Result;
use super::manifest::{self, Manifest, Pooler};
use super::model::{File, Model};
use super::network::{LayerTime, Layout};
use super::plans::{Network, Plan, Source};
use super::roi_align::{FeatureMap, RoiAlign, level_of};
use super::timings::{Stage, Timings};
use crate::person::PARTS;
use crate::threads::Threads;

/// Backbone, neck and proposal head: picture to feature maps and proposals.
pub struct Trunk {
    network: Arc<Network>,
    /// For the last input size.
    plan: Option<Arc<Plan>>,
    /// From the time that its input is asked for until it has run.
    runner: Option<Box<dyn Runner>>,
    threads: Threads,
}

impl Trunk {
    pub fn load(model: &Model, backend: &Backend) -> Result<Self> {
        let manifest = model.manifest();
        let levels = manifest.rpn.levels.iter().flat_map(|l| [&l.objectness, &l.deltas]);
        let outputs = manifest.features.iter().map(|f| &f.output).chain(levels);
        let outputs: Vec<_> = outputs.map(|name| (&**name, Layout::ChannelsLast)).collect();
        let input = (&*manifest.input.name, Layout::ChannelsLast);
        let network = Source { backend, file: model.trunk(), input, outputs: &outputs }.network()?;
        Ok(Self { network, plan: None, runner: None, threads: Threads::one() })
    }

    /// Makes ready for inputs of this size on these threads, unless it is.
    pub fn prepare(&mut self, manifest: &Manifest, (width, height): (usize, usize), threads: &Threads) -> Result<()> {
        let item = [3, height, width];
        if self.plan.as_ref().is_none_or(|plan| plan.program().item() != item) {
            // The old one's memory is not needed beside the new one's.
            (self.plan, self.runner) = (None, None);
            let plan = self.network.plan(item, false, threads)?;
            check_trunk(plan.program(), manifest)?;
            self.plan = Some(plan);
        }
        self.set_threads(threads);
        Ok(())
    }

    /// Goes on on other threads.
    pub fn set_threads(&mut self, threads: &Threads) {
        self.threads = threads.clone();
    }

    /// How long layers took in the runs since this was last called; nothing on the first call, nor by ONNX Runtime. Only
    /// of use while nobody else has the same network.
    pub fn profiled(&mut self) -> Vec<LayerTime> {
        self.running().map(|runner| runner.profiled()).unwrap_or_default()
    }

    /// Input (height, width, 3) of the size prepared for; empty before.
    pub fn input(&mut self) -> &mut [f32] {
        self.running().map(|runner| runner.input(1)).unwrap_or_default()
    }

    /// Where network and plan are, which others may have, too.
    #[cfg(test)]
    pub fn shared(&self) -> (*const Network, Option<*const Plan>) {
        (Arc::as_ptr(&self.network), self.plan.as_ref().map(Arc::as_ptr))
    }

    fn running(&mut self) -> Option<&mut Box<dyn Runner>> {
        if self.runner.is_none() {
            self.runner = self.plan.as_ref().and_then(|plan| plan.runner(&self.threads).ok());
        }
        self.runner.as_mut()
    }

    /// Runs the trunk on its input; before [`prepare`](Self::prepare) it sees nothing.
    pub fn run(&mut self) -> Result<Pyramid> {
        let Some(plan) = &self.plan else { return Ok(Pyramid { outputs: Vec::new() }) };
        let mut runner = self.runner.take().map_or_else(|| plan.runner(&self.threads), Ok)?;
        let outputs = runner.run(&self.threads);
        plan.give_back(runner);
        Ok(Pyramid { outputs: outputs? })
    }
}

fn check_trunk(program: &dyn Program, manifest: &Manifest) -> Result<()> {
    let [_, height, width] = program.item();
    let mut index = 0;
    for f in &manifest.features {
        program.expect(
            index,
            &f.output,
            &[Some(1), Some(height / f.stride), Some(width / f.stride), Some(f.channels)],
        )?;
        index += 1;
    }
    for level in &manifest.rpn.levels {
        let anchors = manifest.rpn.anchors(level);
        let (h, w) = (height.div_ceil(level.stride), width.div_ceil(level.stride));
        program.expect(index, &level.objectness, &[Some(1), Some(h), Some(w), Some(anchors)])?;
        program.expect(index + 1, &level.deltas, &[Some(1), Some(h), Some(w), Some(4 * anchors)])?;
        // Anchors are ranked by their numbers, in 32 bits.
        if h.saturating_mul(w).saturating_mul(anchors) > u32::MAX as usize {
            return program
                .fail(format!("has {anchors} anchors at each of {h} times {w} places, more than 32 bits count"));
        }
        index += 2;
    }
    Ok(())
}

/// What the trunk puts out: first the feature maps, then logits and refinements of each level.
pub struct Pyramid {
    outputs: Vec<Box<dyn Output>>,
}

impl Pyramid {
    /// The feature maps, in the manifest's order.
    pub fn features(&self, manifest: &Manifest) -> Vec<FeatureMap<'_>> {
        let features = manifest.features.iter().zip(&self.outputs);
        features
            .map(|(feature, output)| {
                let [_, height, width, channels] = output.dims();
                FeatureMap { data: output.data(), height, width, channels, stride: feature.stride }
            })
            .collect()
    }

    /// What is said of the levels of anchors, in the manifest's order.
    pub fn levels(&self, manifest: &Manifest) -> Vec<LevelOutput<'_>> {
        let (pairs, _) = self.outputs[manifest.features.len().min(self.outputs.len())..].as_chunks();
        pairs
            .iter()
            .map(|[objectness, deltas]| {
                let [_, height, width, _] = objectness.dims();
                LevelOutput { objectness: objectness.data(), deltas: deltas.data(), height, width }
            })
            .collect()
    }
}

/// Cuts boxes out of those feature maps that a head reads.
#[derive(Clone)]
struct Cutter {
    align: RoiAlign,
    /// Indices of the feature maps.
    features: Vec<usize>,
    canonical_size: f32,
    canonical_level: i32,
}

impl Cutter {
    fn new(pooler: &Pooler, manifest: &Manifest) -> Self {
        let &Pooler { resolution, sampling_ratio, aligned, canonical_size, canonical_level, .. } = pooler;
        let align = RoiAlign { resolution, sampling_ratio, aligned };
        let features = pooler.features.iter().filter_map(|name| manifest.feature(name)).collect();
        Self { align, features, canonical_size, canonical_level }
    }

    /// Fills `out` with what is inside `rect` of the map that fits its size.
    fn cut(&self, features: &[FeatureMap], rect: &Rect, out: &mut [f32]) {
        let maps: Vec<&FeatureMap> = self.features.iter().filter_map(|&i| features.get(i)).collect();
        let level = level_of(rect, &maps, self.canonical_size, self.canonical_level);
        self.align.pool(maps[level], rect, out);
    }
}

/// A network that looks at boxes.
struct Head {
    cutter: Cutter,
    plan: Arc<Plan>,
    threads: Threads,
    /// Boxes per run and thread.
    batch: usize,
}

impl Head {
    fn load(
        file: &File,
        pooler: &Pooler,
        outputs: &[&str],
        manifest: &Manifest,
        (threads, backend): (&Threads, &Backend),
        batch: usize,
    ) -> Result<Self> {
        let cutter = Cutter::new(pooler, manifest);
        let channels = cutter.features.first().map_or(0, |&f| manifest.features[f].channels);
        let resolution = pooler.resolution;
        let outputs: Vec<_> = outputs.iter().map(|&name| (name, Layout::ChannelsLast)).collect();
        let source = Source { backend, file, input: (&pooler.input, Layout::ChannelsLast), outputs: &outputs };
        let plan = source.plan([channels, resolution, resolution], true, threads)?;
        Ok(Self { cutter, plan, threads: threads.clone(), batch })
    }

    /// Boxes per run.
    fn at_once(&self) -> usize {
        self.batch * self.threads.count()
    }

    /// Runs the network on `boxes`, at most as many as go at once.
    fn run(
        &mut self,
        features: &[FeatureMap],
        boxes: &[Rect],
        timings: &Timings,
        (pooling, network): (Stage, Stage),
    ) -> Result<Vec<Box<dyn Output>>> {
        let Self { cutter, plan, threads, .. } = self;
        let mut runner = plan.runner(threads)?;
        timings.time(pooling, || {
            let input = runner.input(boxes.len());
            let length = plan.program().item().iter().product::<usize>().max(1);
            let share = boxes.len().div_ceil(threads.shares()).max(1);
            let mut shares: Vec<_> = boxes.chunks(share).zip(input.chunks_mut(share * length)).collect();
            threads.each(&mut shares, |(boxes, input)| {
                for (rect, input) in boxes.iter().zip(input.chunks_exact_mut(length)) {
                    cutter.cut(features, rect, input);
                }
            });
        });
        let outputs = timings.time(network, || runner.run(threads));
        plan.give_back(runner);
        outputs
    }
}

/// Proposals judged at once by a thread: few rows of a product each.
const PROPOSALS: usize = 16;
/// People mapped at once by a thread: what lies between layers fills its cache.
const PEOPLE: usize = 1;

/// The network that tells which proposals are persons, and where exactly.
pub struct BoxHead {
    head: Head,
}

impl BoxHead {
    pub fn load(model: &Model, threads: &Threads, backend: &Backend) -> Result<Self> {
        let manifest = model.manifest();
        let config = &manifest.box_head;
        let outputs = [&*config.scores, &*config.deltas];
        let head = Head::load(model.box_head(), &config.pooler, &outputs, manifest, (threads, backend), PROPOSALS)?;
        head.plan.program().expect(0, &config.scores, &[Some(1), Some(config.classes.len())])?;
        head.plan.program().expect(1, &config.deltas, &[Some(1), Some(4)])?;
        Ok(Self { head })
    }

    pub fn set_threads(&mut self, threads: &Threads) {
        self.head.threads = threads.clone();
    }

    /// Where the plan is, which others may have, too.
    #[cfg(test)]
    pub fn shared(&self) -> *const Plan {
        Arc::as_ptr(&self.head.plan)
    }

    /// What the network says of each proposal.
    pub fn judge(&mut self, features: &[FeatureMap], proposals: &[Scored], timings: &Timings) -> Result<Vec<Verdict>> {
        let boxes: Vec<Rect> = proposals.iter().map(|proposal| proposal.rect).collect();
        let mut verdicts = Vec::with_capacity(boxes.len());
        // As many in each run, so that its memory is that of the run before.
        let runs = boxes.len().div_ceil(self.head.at_once()).max(1);
        for boxes in boxes.chunks(boxes.len().div_ceil(runs).max(1)) {
            let outputs = self.head.run(features, boxes, timings, (Stage::BoxPooling, Stage::BoxHead))?;
            let (logits, deltas) = (&outputs[0], &outputs[1]);
            let logits = logits.data().chunks_exact(logits.dims()[1]);
            let each = logits.zip(deltas.data().as_chunks().0);
            verdicts.extend(each.map(|(logits, deltas)| Verdict { logits: logits.to_vec(), deltas: *deltas }));
        }
        Ok(verdicts)
    }
}

/// Channels of the coarse logits: background, and as many kinds of foreground as a byte counts.
const COARSE: std::ops::RangeInclusive<usize> = 2..=255;

fn check_densepose(program: &dyn Program, config: &manifest::DensePoseHead) -> Result<()> {
    let parts = usize::from(PARTS) + 1;
    program.expect(1, &config.fine, &[Some(1), None, None, Some(parts)])?;
    let (height, width) = (program.outputs()[1][1], program.outputs()[1][2]);
    program.expect(0, &config.coarse, &[Some(1), Some(height), Some(width), None])?;
    let coarse = program.outputs()[0][3];
    if !COARSE.contains(&coarse) {
        let (least, most) = (COARSE.start(), COARSE.end());
        return program
            .fail(format!("puts out \"{}\" with {coarse} channels, {least} to {most} are possible", config.coarse));
    }
    for (index, name) in [(2, &config.u), (3, &config.v)] {
        program.expect(index, name, &[Some(1), Some(height), Some(width), Some(parts)])?;
    }
    Ok(())
}

/// The network that maps the body surface inside a box.
pub struct DensePoseHead {
    head: Head,
}

impl DensePoseHead {
    pub fn load(model: &Model, threads: &Threads, backend: &Backend) -> Result<Self> {
        let manifest = model.manifest();
        let config = &manifest.densepose_head;
        let outputs = [&*config.coarse, &*config.fine, &*config.u, &*config.v];
        let head = Head::load(model.densepose_head(), &config.pooler, &outputs, manifest, (threads, backend), PEOPLE)?;
        check_densepose(head.plan.program(), config)?;
        Ok(Self { head })
    }

    pub fn set_threads(&mut self, threads: &Threads) {
        self.head.threads = threads.clone();
    }

    /// Where the plan is, which others may have, too.
    #[cfg(test)]
    pub fn shared(&self) -> *const Plan {
        Arc::as_ptr(&self.head.plan)
    }

    /// What `finish` makes of the index and the charts of each box.
    pub fn map<T: Send>(
        &mut self,
        features: &[FeatureMap],
        boxes: &[Rect],
        timings: &Timings,
        finish: impl Fn(usize, &Charts) -> T + Sync,
    ) -> Result<Vec<T>> {
        let mut results = Vec::with_capacity(boxes.len());
        for boxes in boxes.chunks(self.head.at_once()) {
            let outputs = self.head.run(features, boxes, timings, (Stage::DensePosePooling, Stage::DensePoseHead))?;
            let first = results.len();
            let mut charts: Vec<(usize, Charts, Option<T>)> = (0..boxes.len())
                .map(|i| {
                    let [coarse, fine, u, v] = std::array::from_fn(|output| grid(&*outputs[output], i));
                    (first + i, Charts { coarse, fine, u, v }, None)
                })
                .collect();
            timings.time(Stage::Charts, || {
                self.head.threads.each(&mut charts, |(index, charts, result)| *result = Some(finish(*index, charts)));
            });
            results.extend(charts.into_iter().filter_map(|(.., result)| result));
        }
        Ok(results)
    }
}

/// Item `index` of an output.
fn grid(output: &dyn Output, index: usize) -> Grid<'_> {
    let [_, height, width, channels] = output.dims();
    let length = height * width * channels;
    Grid { data: &output.data()[index * length..][..length], height, width, channels }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Runner;
    use super::*;

    /// A program that only says what it puts out.
    struct Claims {
        item: [usize; 3],
        outputs: Vec<Vec<usize>>,
    }

    impl Program for Claims {
        fn file(&self) -> &str {
            "claims.onnx"
        }

        fn item(&self) -> [usize; 3] {
            self.item
        }

        fn outputs(&self) -> &[Vec<usize>] {
            &self.outputs
        }

        fn runner(&self, _: &Threads) -> Result<Box<dyn Runner>> {
            (self as &dyn Program).fail("cannot run".into())
        }
    }

    fn manifest() -> Manifest {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/model.json");
        Manifest::parse("model.json", &std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn coarse_channels_are_those_that_a_byte_counts() {
        let config = manifest().densepose_head;
        let check = |coarse: usize| {
            let outputs = [coarse, 25, 25, 25].map(|channels| vec![1, 8, 8, channels]).to_vec();
            check_densepose(&Claims { item: [8, 14, 14], outputs }, &config).map_err(|e| e.to_string())
        };
        for coarse in [2, 15, 255] {
            check(coarse).unwrap();
        }
        for coarse in [1, 256, 300, 70_000] {
            let problem = check(coarse).unwrap_err();
            assert!(problem.contains(&format!("with {coarse} channels, 2 to 255 are possible")), "{problem}");
        }
    }

    #[test]
    fn more_anchors_than_32_bits_count_are_refused() {
        let mut manifest = manifest();
        let (height, width) = (8192, 8192);
        let check = |manifest: &Manifest| {
            let features = manifest.features.iter().map(|f| vec![1, height / f.stride, width / f.stride, f.channels]);
            let levels = manifest.rpn.levels.iter().flat_map(|level| {
                let anchors = manifest.rpn.anchors(level);
                let (h, w) = (height.div_ceil(level.stride), width.div_ceil(level.stride));
                [vec![1, h, w, anchors], vec![1, h, w, 4 * anchors]]
            });
            let outputs = features.chain(levels).collect();
            check_trunk(&Claims { item: [3, height, width], outputs }, manifest).map_err(|e| e.to_string())
        };
        check(&manifest).unwrap();
        manifest.rpn.levels[0].stride = 1;
        manifest.rpn.aspect_ratios = vec![1.0; 64];
        let problem = check(&manifest).unwrap_err();
        assert!(problem.contains("at each of 8192 times 8192 places"), "{problem}");
    }
}
