//! The three networks of a model, between plain numbers and the runtime: what goes in, what comes out, on which threads.

use super::anchors::LevelOutput;
use super::backend::Backend;
use super::boxes::{Rect, Scored};
use super::charts::{Charts, Grid};
use super::detections::Verdict;
use super::engine::{self, Graph, Output, Program, Runner};
use super::error::Result;
use super::manifest::{Manifest, Pooler};
use super::model::{File, Model};
use super::network::{LayerTime, Layout};
use super::roi_align::{FeatureMap, RoiAlign, level_of};
use super::timings::{Stage, Timings};
use crate::person::PARTS;
use crate::threads::Threads;

/// Backbone, neck and proposal head: picture to feature maps and proposals.
pub struct Trunk {
    graph: Box<dyn Graph>,
    /// For the last input size.
    ready: Option<(Box<dyn Program>, Box<dyn Runner>)>,
}

impl Trunk {
    pub fn load(model: &Model, backend: &Backend) -> Result<Self> {
        let manifest = model.manifest();
        let levels = manifest.rpn.levels.iter().flat_map(|l| [&l.objectness, &l.deltas]);
        let outputs = manifest.features.iter().map(|f| &f.output).chain(levels);
        let outputs: Vec<_> = outputs.map(|name| (&**name, Layout::ChannelsLast)).collect();
        let graph = engine::load(backend, model.trunk(), (&manifest.input.name, Layout::ChannelsLast), &outputs)?;
        Ok(Self { graph, ready: None })
    }

    /// Makes ready for inputs of this size, unless it is.
    pub fn prepare(&mut self, manifest: &Manifest, (width, height): (usize, usize), threads: &Threads) -> Result<()> {
        let item = [3, height, width];
        if self.ready.as_ref().is_none_or(|(program, _)| program.item() != item) {
            // The old one's memory is not needed beside the new one's.
            self.ready = None;
            let program = self.graph.program(item)?;
            check_trunk(&*program, manifest)?;
            let runner = program.runner(threads)?;
            self.ready = Some((program, runner));
        }
        Ok(())
    }

    /// Goes on on other threads.
    pub fn set_threads(&mut self, threads: &Threads) -> Result<()> {
        if let Some((program, runner)) = &mut self.ready {
            *runner = program.runner(threads)?;
        }
        Ok(())
    }

    /// How long layers took in the runs since this was last called; nothing on the first call, nor by ONNX Runtime.
    pub fn profiled(&mut self) -> Vec<LayerTime> {
        self.ready.as_mut().map(|(_, runner)| runner.profiled()).unwrap_or_default()
    }

    /// Input (height, width, 3) of the size prepared for; empty before.
    pub fn input(&mut self) -> &mut [f32] {
        self.ready.as_mut().map(|(_, runner)| runner.input(1)).unwrap_or_default()
    }

    /// Runs the trunk on its input; before [`prepare`](Self::prepare) it sees nothing.
    pub fn run(&mut self) -> Result<Pyramid> {
        let outputs = match &mut self.ready {
            Some((_, runner)) => runner.run()?,
            None => Vec::new(),
        };
        Ok(Pyramid { outputs })
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
    program: Box<dyn Program>,
    runner: Box<dyn Runner>,
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
        let graph = engine::load(backend, file, (&pooler.input, Layout::ChannelsLast), &outputs)?;
        let program = graph.program([channels, resolution, resolution])?;
        let runner = program.runner(threads)?;
        Ok(Self { cutter, program, runner, threads: threads.clone(), batch })
    }

    fn set_threads(&mut self, threads: &Threads) -> Result<()> {
        self.runner = self.program.runner(threads)?;
        self.threads = threads.clone();
        Ok(())
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
        let Self { cutter, program, runner, threads, .. } = self;
        timings.time(pooling, || {
            let input = runner.input(boxes.len());
            let length = program.item().iter().product::<usize>().max(1);
            let share = boxes.len().div_ceil(threads.count()).max(1);
            let mut shares: Vec<_> = boxes.chunks(share).zip(input.chunks_mut(share * length)).collect();
            threads.each(&mut shares, |(boxes, input)| {
                for (rect, input) in boxes.iter().zip(input.chunks_exact_mut(length)) {
                    cutter.cut(features, rect, input);
                }
            });
        });
        timings.time(network, || runner.run())
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
        head.program.expect(0, &config.scores, &[Some(1), Some(config.classes.len())])?;
        head.program.expect(1, &config.deltas, &[Some(1), Some(4)])?;
        Ok(Self { head })
    }

    pub fn set_threads(&mut self, threads: &Threads) -> Result<()> {
        self.head.set_threads(threads)
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
        let program = &head.program;
        let parts = usize::from(PARTS) + 1;
        program.expect(1, &config.fine, &[Some(1), None, None, Some(parts)])?;
        let (height, width) = (program.outputs()[1][1], program.outputs()[1][2]);
        program.expect(0, &config.coarse, &[Some(1), Some(height), Some(width), None])?;
        for (index, name) in [(2, &config.u), (3, &config.v)] {
            program.expect(index, name, &[Some(1), Some(height), Some(width), Some(parts)])?;
        }
        Ok(Self { head })
    }

    pub fn set_threads(&mut self, threads: &Threads) -> Result<()> {
        self.head.set_threads(threads)
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
