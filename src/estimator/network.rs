//! ONNX networks, loaded and run. The only module that knows tract.
//!
//! tract plans for concrete shapes, so a [`Graph`] is loaded once and turned into a [`Program`] for each shape.
//! A program is shared by all who use it, and runs in [`Runner`]s, one for each that runs at the same time.

mod expand;
mod layout;
mod lower;
mod operator;
mod pending;
mod pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tract_onnx::prelude::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, bail};
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::infer::Factoid;

use self::expand::expand_weights;
pub use self::layout::Layout;
use self::lower::{Lowered, lower};
use super::engine::{self, Output as _};
use super::error::{Error, Result};
use super::guard::guarded;
use super::model::File;
use crate::layers::Precision;
use crate::threads::Threads;

/// A parsed network whose shapes are still open.
pub struct Graph {
    file: String,
    model: InferenceModel,
    /// Of the input.
    input: Layout,
    /// Of each output.
    outputs: Vec<Layout>,
    /// Of its pointwise convolutions: in 8 bits where the file has the weights in 8 bits.
    precision: Precision,
}

impl Graph {
    /// Reads the network in `file`, which must have the one input `input` and at least the outputs `outputs`; they
    /// come out in this order. Each is taken and given in its layout, whatever the file has.
    pub fn load(file: &File, (input, layout): (&str, Layout), outputs: &[(&str, Layout)]) -> Result<Self> {
        let fail = |problem| Error::Network { file: file.name.clone(), problem };
        let parse = || {
            let onnx = onnx().with_ignore_value_info(true);
            let mut proto = onnx.proto_model_for_read(&mut &*file.bytes)?;
            let is_bytes = proto.graph.as_mut().map(expand_weights).transpose()?.unwrap_or(false);
            let precision = if is_bytes { Precision::Bytes } else { Precision::Float };
            TractResult::Ok((onnx.model_for_proto_model(&proto)?, precision))
        };
        let (mut model, precision) =
            guarded(parse).map_err(|cause| fail(format!("is no readable ONNX network: {cause}")))?;
        let inputs: Vec<&str> = model.inputs.iter().map(|outlet| model.nodes[outlet.node].name.as_str()).collect();
        if inputs != [input] {
            return Err(fail(format!("has the inputs {inputs:?}, the manifest says [{input:?}]")));
        }
        let outlet_of = |name: &&str| model.outputs.iter().copied().find(|&o| model.outlet_label(o) == Some(name));
        let wanted: Vec<OutletId> = outputs
            .iter()
            .map(|(name, _)| {
                outlet_of(name).ok_or_else(|| fail(format!("has no output \"{name}\" as the manifest says")))
            })
            .collect::<Result<_>>()?;
        model.outputs = wanted;
        let outputs = outputs.iter().map(|&(_, layout)| layout).collect();
        Ok(Self { file: file.name.clone(), model, input: layout, outputs, precision })
    }
}

/// Follows the lengths of all values from the input on, and refuses what is no number of: where lengths do not fit each
/// other, tract would go on with terms, which grow without end.
fn ensure_lengths(model: &mut InferenceModel) -> TractResult<()> {
    for id in model.eval_order()? {
        let observed = model.node(id).op.observe_outlets(model, model.node(id))?;
        let facts = |outlets: &[OutletId]| -> TractResult<Vec<InferenceFact>> {
            outlets.iter().map(|&outlet| model.outlet_fact(outlet).cloned()).collect()
        };
        let (inputs, observed) = (facts(&model.node(id).inputs)?, facts(&observed)?);
        let outputs: Vec<_> = model.node(id).outputs.iter().map(|output| output.fact.clone()).collect();
        let op = &mut model.node_mut(id).op;
        let inferred = op.infer(inputs.iter().collect(), outputs.iter().collect(), observed.iter().collect());
        // What is wrong with a node, or not known yet, the runtime says itself.
        let Ok((_, outputs, _)) = inferred else { continue };
        for (slot, fact) in outputs.into_iter().enumerate() {
            let unknown = fact.shape.dims().filter_map(|length| length.concretize()).find(|n| n.to_i64().is_err());
            if let Some(length) = unknown {
                bail!("\"{}\" has the length {length}", model.node(id).name);
            }
            model.set_outlet_fact(OutletId::new(id, slot), fact)?;
        }
    }
    Ok(())
}

impl engine::Graph for Graph {
    fn program(&self, item: [usize; 3], many: bool) -> Result<Box<dyn engine::Program>> {
        let fail = |problem| Error::Network { file: self.file.clone(), problem };
        let lowered = |items: TDim| {
            let shape: TVec<TDim> = [items.clone()].into_iter().chain(item.map(TDim::from)).collect();
            let fact = InferenceFact::dt_shape(f32::datum_type(), shape);
            let mut model = self.model.clone().with_input_fact(0, fact)?;
            if items == 1.into() {
                ensure_lengths(&mut model)?;
            }
            lower(&model.into_typed()?, self.input, &self.outputs, self.precision)
        };
        let compile = || {
            // First for one item: networks that make no sense fail here, where an unknown number may take for ever.
            let one = Lowered { batches: false, ..lowered(1.into())? };
            // Any number of items at once, unless some part of the network minds.
            let any = if many { lowered(self.model.symbols.sym("items").into()).ok() } else { None };
            let lowered = any.filter(|any| any.batches).unwrap_or(one);
            TractResult::Ok((TypedSimplePlan::new(lowered.model.into_optimized()?)?, lowered.batches))
        };
        let (plan, batches) = guarded(compile).map_err(|cause| {
            fail(format!("does not run on an input of {:?}: {cause}", [1, item[0], item[1], item[2]]))
        })?;
        let model = plan.model();
        let outputs = (0..model.outputs.len())
            .map(|i| {
                let fact = model.output_fact(i).ok()?;
                let lengths = fact.shape.iter().enumerate();
                // Where any number of items goes in, as many come out.
                let any =
                    |axis: usize, length: &TDim| axis == 0 && *length == TDim::from(self.model.symbols.sym("items"));
                let shape =
                    lengths.map(|(axis, length)| if any(axis, length) { Some(1) } else { length.to_usize().ok() });
                let shape = shape.collect::<Option<Vec<usize>>>()?;
                (fact.datum_type == f32::datum_type()).then_some(shape)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| fail("has outputs of unknown shape, or that are no 32-bit floats".into()))?;
        let input = self.input.arrange(&[1, item[0], item[1], item[2]]);
        Ok(Box::new(Program { file: self.file.clone(), plan, batches, item, input, outputs }))
    }
}

/// A network compiled for items of one shape.
pub struct Program {
    file: String,
    plan: Arc<TypedSimplePlan>,
    /// Whether it takes any number of items at once.
    batches: bool,
    item: [usize; 3],
    /// Shapes for one item, in their layouts.
    input: Vec<usize>,
    outputs: Vec<Vec<usize>>,
}

impl engine::Program for Program {
    fn file(&self) -> &str {
        &self.file
    }

    fn item(&self) -> [usize; 3] {
        self.item
    }

    fn outputs(&self) -> &[Vec<usize>] {
        &self.outputs
    }

    fn runner(&self, _: &Threads) -> Result<Box<dyn engine::Runner>> {
        let fail = |problem| Error::Network { file: self.file.clone(), problem };
        let plan = self.plan.clone();
        let state = guarded(|| plan.spawn()).map_err(fail)?;
        let input = guarded(|| Tensor::zero::<f32>(&self.input)).map_err(fail)?;
        let (file, batches) = (self.file.clone(), self.batches);
        Ok(Box::new(Runner { file, plan, state, batches, input: Arc::new(input), profile: None }))
    }
}

/// Runs a program, over and over.
pub struct Runner {
    file: String,
    plan: Arc<TypedSimplePlan>,
    state: TypedSimpleState,
    batches: bool,
    input: Arc<Tensor>,
    /// Where the time goes, if somebody wants to know.
    profile: Option<Vec<LayerTime>>,
}

/// How long a layer took.
#[derive(Clone, Debug)]
pub struct LayerTime {
    /// Its name in the network's file.
    pub layer: String,
    /// What it does.
    pub kind: String,
    pub time: Duration,
}

impl engine::Runner for Runner {
    fn input(&mut self, count: usize) -> &mut [f32] {
        if self.input.shape()[0] != count {
            let shape: Vec<usize> = [count].into_iter().chain(self.input.shape()[1..].iter().copied()).collect();
            self.input = Tensor::zero::<f32>(&shape).map(Arc::new).unwrap_or_else(|_| self.input.clone());
        }
        // Nobody else holds the tensor between runs, so nothing is copied here; its type was given when it was made.
        let view = Arc::make_mut(&mut self.input).to_plain_array_view_mut::<f32>();
        view.ok().and_then(|view| view.into_slice()).unwrap_or_default()
    }

    fn run(&mut self, threads: &Threads) -> Result<Vec<Box<dyn engine::Output>>> {
        let outputs = self.run_all(threads)?;
        Ok(outputs.into_iter().map(|output| Box::new(output) as _).collect())
    }

    fn profiled(&mut self) -> Vec<LayerTime> {
        std::mem::take(self.profile.get_or_insert_default())
    }
}

impl Runner {
    /// Runs the network on all items of the input, one by one if it must be.
    fn run_all(&mut self, threads: &Threads) -> Result<Vec<Output>> {
        let count = self.input.shape()[0];
        if self.batches || count == 1 {
            return self.run_on(self.input.clone(), threads);
        }
        let mut outputs: Vec<Output> = Vec::new();
        for i in 0..count {
            let item = self.input.slice(0, i, i + 1);
            let item = item.map_err(|e| Error::Run { file: self.file.clone(), problem: format!("{e:#}") })?;
            let values = self.run_on(Arc::new(item), threads)?;
            match outputs.is_empty() {
                true => outputs = values,
                false => outputs.iter_mut().zip(values).for_each(|(output, value)| output.append(value)),
            }
        }
        Ok(outputs)
    }

    fn run_on(&mut self, input: Arc<Tensor>, threads: &Threads) -> Result<Vec<Output>> {
        let Self { state, profile, .. } = self;
        // For operators of our own; tract's take them from the executor.
        state.turn_state.shared.insert(threads.clone());
        let executor = match threads.pool() {
            Some(pool) if threads.count() > 1 => Executor::MultiThread(pool.clone()),
            _ => Executor::SingleThread,
        };
        let run = || match profile {
            Some(profile) => state.run_plan_with_eval(tvec![TValue::from_const(input)], |context, op, node, inputs| {
                let start = Instant::now();
                let results = eval(context, op, node, inputs);
                profile.push(LayerTime {
                    layer: node.name.clone(),
                    kind: node.op.name().to_string(),
                    time: start.elapsed(),
                });
                results
            }),
            None => state.run(tvec![TValue::from_const(input)]),
        };
        let outcome = threads.within(|| multithread_tract_scope(executor, || guarded(run)));
        state.turn_state.shared.clear();
        match outcome {
            Ok(values) => Ok(values.into_iter().map(Output::new).collect()),
            Err(problem) => {
                // A run that broke off leaves intermediate values behind.
                if let Ok(state) = guarded(|| self.plan.spawn()) {
                    self.state = state;
                }
                Err(Error::Run { file: self.file.clone(), problem })
            }
        }
    }
}

/// What a network put out.
pub struct Output {
    dims: [usize; 4],
    values: Values,
}

enum Values {
    /// Of one run.
    Tensor(TValue),
    /// Of several.
    Joined(Vec<f32>),
}

impl Output {
    fn new(value: TValue) -> Self {
        let dims = std::array::from_fn(|axis| value.shape().get(axis).copied().unwrap_or(1));
        Self { dims, values: Values::Tensor(value) }
    }

    /// Adds the items of `other`, of the same shape, to its own.
    fn append(&mut self, other: Self) {
        self.dims[0] += other.dims[0];
        if let Values::Tensor(_) = self.values {
            self.values = Values::Joined(self.data().to_vec());
        }
        if let Values::Joined(values) = &mut self.values {
            values.extend_from_slice(other.data());
        }
    }
}

impl engine::Output for Output {
    fn dims(&self) -> [usize; 4] {
        self.dims
    }

    fn data(&self) -> &[f32] {
        match &self.values {
            // Programs with outputs of another type are refused when they are made.
            Values::Tensor(tensor) => tensor.as_plain_ram().and_then(|view| view.as_slice().ok()).unwrap_or_default(),
            Values::Joined(values) => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto};

    use super::*;

    #[test]
    fn eight_bit_weights_are_expanded_on_loading() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-int8/densepose_head.onnx");
        let file = File::open(path);
        let graph = Graph::load(&file, ("rois", Layout::ChannelsFirst), &[("fine", Layout::ChannelsFirst)]).unwrap();
        let constants =
            graph.model.nodes.iter().filter_map(|node| node.op_as::<tract_onnx::tract_hir::ops::konst::Const>());
        let types: Vec<_> = constants.map(|c| (c.val().len(), c.val().datum_type())).collect();
        assert!(types.iter().any(|&(length, _)| length > 1000), "{types:?}");
        assert!(types.iter().all(|&(length, kind)| length == 1 || kind == f32::datum_type()), "{types:?}");
    }

    /// The network in `bytes` with its weights in half precision, each with a cast behind it, as `zoo.export --half`
    /// writes them.
    fn halved(bytes: &[u8]) -> Vec<u8> {
        let mut proto = ModelProto::decode(bytes).unwrap();
        let graph = proto.graph.as_mut().unwrap();
        let mut casts = Vec::new();
        for tensor in &mut graph.initializer {
            let name = tensor.name.clone();
            if tensor.data_type != DataType::Float as i32 || tensor.dims.iter().product::<i64>() < 64 {
                continue;
            }
            let values =
                tensor.raw_data.as_chunks::<4>().0.iter().map(|&bytes| f16::from_f32(f32::from_le_bytes(bytes)));
            tensor.raw_data = values.flat_map(|value| value.to_le_bytes()).collect();
            (tensor.data_type, tensor.name) = (DataType::Float16 as i32, format!("{name}_half"));
            let to = AttributeProto { name: "to".into(), i: DataType::Float as i64, ..Default::default() };
            casts.push(NodeProto {
                op_type: "Cast".into(),
                input: vec![tensor.name.clone()],
                output: vec![name],
                attribute: vec![to],
                ..Default::default()
            });
        }
        assert!(!casts.is_empty());
        graph.node.splice(0..0, casts);
        proto.encode_to_vec()
    }

    /// All outputs of the network in `bytes`, one after the other, for a made-up input of this shape.
    fn outputs(bytes: Vec<u8>, input: &str, names: &[&str], item: [usize; 3]) -> Vec<Vec<f32>> {
        let names: Vec<_> = names.iter().map(|&name| (name, Layout::ChannelsLast)).collect();
        let file = File::new("some.onnx".into(), bytes.into());
        let graph = Graph::load(&file, (input, Layout::ChannelsLast), &names).unwrap();
        let program = engine::Graph::program(&graph, item, false).unwrap();
        let mut runner = program.runner(&Threads::one()).unwrap();
        for (i, value) in runner.input(1).iter_mut().enumerate() {
            *value = (i as f32 * 0.37).sin();
        }
        runner.run(&Threads::one()).unwrap().iter().map(|output| output.data().to_vec()).collect()
    }

    #[test]
    fn half_precision_changes_results_by_less_than_a_thousandth() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/densepose_head.onnx");
        let (bytes, names) = (std::fs::read(path).unwrap(), ["coarse", "fine", "u", "v"]);
        let half = halved(&bytes);
        assert!(half.len() * 10 < bytes.len() * 7, "{} bytes, not half of {}", half.len(), bytes.len());
        let [expected, found] = [bytes, half].map(|bytes| outputs(bytes, "rois", &names, [16, 16, 16]));
        for ((expected, found), name) in expected.iter().zip(&found).zip(names) {
            let scale = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            let off = expected.iter().zip(found).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
            assert!(scale > 0.0 && off > 0.0 && off <= 1e-3 * scale, "{name} is off by {off} of {scale}");
        }
    }
}
