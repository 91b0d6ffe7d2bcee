//! ONNX networks, loaded and run by ONNX Runtime. The only module that knows ort.
//!
//! A session runs one input at a time, so each [`Runner`] has one of its own, with its own copy of the weights.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{Outlet, Tensor, TensorElementType, TensorRef, ValueType};

use super::backend::{Provider, names};
use super::engine;
use super::error::{Error, Result};
use super::guard::guarded;
use super::model::File;
use super::network::Layout;
use crate::lock;
use crate::threads::Threads;

/// A network that was read and how to run it; sessions are made of it.
struct Network {
    environment: Environment,
    file: File,
    providers: Vec<Provider>,
    /// What the input's axes of any length are called; empty for those of a fixed length.
    axes: Vec<String>,
    input: Layout,
    outputs: Vec<(String, Layout)>,
}

impl Network {
    fn fail(&self, problem: String) -> Error {
        Error::Network { file: self.file.name.clone(), problem }
    }

    /// For inputs of this shape; `None` leaves the length open, if it is.
    fn builder(&self, shape: [Option<usize>; 4]) -> ort::Result<SessionBuilder> {
        let mut builder = Session::builder(&self.environment)?;
        for (axis, length) in self.axes.iter().zip(shape).filter(|(axis, _)| !axis.is_empty()) {
            if let Some(length) = length {
                builder = builder.with_dimension_override(axis, length as i64)?;
            }
        }
        Ok(builder)
    }
}

/// A session to ask for names and shapes; nothing is optimised for it.
fn describe(builder: SessionBuilder, file: &File) -> ort::Result<Session> {
    builder
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_intra_threads(1)?
        .commit_from_memory(&file.bytes)
}

/// A network whose shapes are still open.
pub struct Graph(Arc<Network>);

impl Graph {
    /// See [`engine::load`].
    pub fn load(
        file: &File,
        (input, layout): (&str, Layout),
        outputs: &[(&str, Layout)],
        providers: &[Provider],
    ) -> Result<Self> {
        let environment = environment()?;
        for &provider in providers {
            provider_of(provider)?;
        }
        let fail = |problem| Error::Network { file: file.name.clone(), problem };
        let session = guarded(|| describe(Session::builder(&environment)?, file))
            .map_err(|cause| fail(format!("is no readable ONNX network: {cause}")))?;
        let inputs: Vec<&str> = session.inputs().iter().map(Outlet::name).collect();
        if inputs != [input] {
            return Err(fail(format!("has the inputs {inputs:?}, the manifest says [{input:?}]")));
        }
        let axes = match session.inputs()[0].dtype() {
            ValueType::Tensor { shape, dimension_symbols, .. } => {
                let axes = shape.iter().zip(dimension_symbols.iter());
                axes.map(|(&length, name)| if length < 0 { name.clone() } else { String::new() }).collect()
            }
            _ => Vec::new(),
        };
        let names: Vec<&str> = session.outputs().iter().map(Outlet::name).collect();
        if let Some((missing, _)) = outputs.iter().find(|(name, _)| !names.contains(name)) {
            return Err(fail(format!("has no output \"{missing}\" as the manifest says")));
        }
        let outputs = outputs.iter().map(|&(name, layout)| (name.into(), layout)).collect();
        let (file, providers) = (file.clone(), providers.into());
        Ok(Self(Arc::new(Network { environment, file, providers, axes, input: layout, outputs })))
    }
}

impl engine::Graph for Graph {
    fn program(&self, item: [usize; 3], _: bool) -> Result<Box<dyn engine::Program>> {
        let network = &self.0;
        let shape = [1, item[0], item[1], item[2]];
        let session = guarded(|| describe(network.builder(shape.map(Some))?, &network.file))
            .map_err(|cause| network.fail(format!("does not run on an input of {shape:?}: {cause}")))?;
        let own = session.inputs().first().and_then(|input| input.dtype().tensor_shape());
        if let Some(own) = own.filter(|own| !own.iter().copied().eq(shape.map(|length| length as i64))) {
            return Err(network.fail(format!("does not run on an input of {shape:?}, only on one of {own:?}")));
        }
        let outputs = network.outputs.iter().map(|(name, layout)| {
            let outlet = session.outputs().iter().find(|outlet| outlet.name() == name)?;
            let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else { return None };
            let shape: Option<Vec<usize>> = shape.iter().map(|&length| usize::try_from(length).ok()).collect();
            Some(layout.arrange(&shape?))
        });
        let unknown = || network.fail("has outputs of unknown shape, or that are no 32-bit floats".into());
        let outputs = outputs.collect::<Option<_>>().ok_or_else(unknown)?;
        Ok(Box::new(Program { network: network.clone(), item, outputs }))
    }
}

/// A network and the shape of its items.
struct Program {
    network: Arc<Network>,
    item: [usize; 3],
    /// Shapes for one item, in their layouts.
    outputs: Vec<Vec<usize>>,
}

impl engine::Program for Program {
    fn file(&self) -> &str {
        &self.network.file.name
    }

    fn item(&self) -> [usize; 3] {
        self.item
    }

    fn outputs(&self) -> &[Vec<usize>] {
        &self.outputs
    }

    fn runner(&self, threads: &Threads) -> Result<Box<dyn engine::Runner>> {
        let network = &*self.network;
        let [channels, rows, columns] = self.item.map(Some);
        let prepare = || -> ort::Result<SessionBuilder> {
            let builder = network.builder([None, channels, rows, columns])?.with_intra_threads(threads.count())?;
            // Threads that spin while they wait take the processor from this crate's and from other elements' threads.
            let builder = builder.with_intra_op_spinning(false)?;
            // Sums of 8-bit products saturate on x86-64 without VNNI, unless this is on; elsewhere it changes nothing.
            let builder = builder.with_precise_qmm()?;
            // DirectML demands that.
            let pattern = !network.providers.contains(&Provider::DirectMl);
            Ok(builder.with_memory_pattern(pattern)?)
        };
        let mut builder = guarded(prepare).map_err(|problem| network.fail(problem))?;
        for &provider in &network.providers {
            let chosen = provider_of(provider)?;
            let register = || Ok::<_, ort::Error>(builder.with_execution_providers([chosen])?);
            builder = guarded(register).map_err(|problem| Error::Provider { provider, problem })?;
        }
        let create = || Ok::<_, ort::Error>((builder.commit_from_memory(&network.file.bytes)?, RunOptions::new()?));
        let (session, options) = guarded(create).map_err(|problem| network.fail(problem))?;
        let wanted = network.outputs.iter().fold(OutputSelector::no_default(), |wanted, (name, _)| wanted.with(name));
        let options = options.with_outputs(wanted);
        let mut runner = Runner {
            network: self.network.clone(),
            item: self.item,
            session,
            options,
            items: Vec::new(),
            turned: Vec::new(),
        };
        // Memory is laid out, and kernels of accelerators are compiled, in the first run.
        engine::Runner::input(&mut runner, 1);
        engine::Runner::run(&mut runner, threads)?;
        Ok(Box::new(runner))
    }
}

/// A session and its input.
struct Runner {
    network: Arc<Network>,
    item: [usize; 3],
    session: Session,
    options: RunOptions<HasSelectedOutputs>,
    /// In the layout asked for.
    items: Vec<f32>,
    /// The same, channels first.
    turned: Vec<f32>,
}

impl Runner {
    /// Runs the session on items that are channels-first, as all of ONNX is.
    fn run_items(&mut self, items: &[f32]) -> Result<Vec<Box<dyn engine::Output>>> {
        let Self { network, item: [channels, rows, columns], session, options, .. } = self;
        let count = items.len() / (*channels * *rows * *columns).max(1);
        let run = || -> ort::Result<Vec<Box<dyn engine::Output>>> {
            let input = TensorRef::from_array_view(([count, *channels, *rows, *columns], items))?;
            let values = session.run_with_options(ort::inputs![input], options)?;
            let values = values.into_iter().zip(&network.outputs);
            values.map(|((_, value), (_, layout))| output(value.downcast()?, *layout)).collect()
        };
        guarded(run).map_err(|problem| Error::Run { file: network.file.name.clone(), problem })
    }
}

impl engine::Runner for Runner {
    fn input(&mut self, count: usize) -> &mut [f32] {
        self.items.resize(count * self.item.iter().product::<usize>(), 0.0);
        &mut self.items
    }

    fn run(&mut self, _: &Threads) -> Result<Vec<Box<dyn engine::Output>>> {
        let (items, mut turned) = (std::mem::take(&mut self.items), std::mem::take(&mut self.turned));
        let [channels, rows, columns] = self.item;
        let outputs = match self.network.input {
            Layout::ChannelsFirst => self.run_items(&items),
            Layout::ChannelsLast => {
                turned.resize(items.len(), 0.0);
                transpose(&items, (rows * columns, channels), &mut turned);
                self.run_items(&turned)
            }
        };
        (self.items, self.turned) = (items, turned);
        outputs
    }
}

/// The session's own memory, or a copy in another layout.
enum Output {
    Shared(Tensor<f32>),
    Own { dims: [usize; 4], values: Vec<f32> },
}

/// The tensor in this layout.
fn output(tensor: Tensor<f32>, layout: Layout) -> ort::Result<Box<dyn engine::Output>> {
    Ok(Box::new(match (layout, &dims(&tensor), tensor.shape().len()) {
        (Layout::ChannelsLast, &[items, channels, rows, columns], 4) => Output::Own {
            dims: [items, rows, columns, channels],
            values: transposed(tensor.try_extract_tensor()?.1, (channels, rows * columns)),
        },
        _ => Output::Shared(tensor),
    }))
}

/// The shape, with 1 for axes that it does not have.
fn dims(tensor: &Tensor<f32>) -> [usize; 4] {
    std::array::from_fn(|axis| tensor.shape().get(axis).map_or(1, |&length| length as usize))
}

impl engine::Output for Output {
    fn dims(&self) -> [usize; 4] {
        match self {
            Self::Shared(tensor) => dims(tensor),
            Self::Own { dims, .. } => *dims,
        }
    }

    fn data(&self) -> &[f32] {
        match self {
            // Programs with outputs of another type are refused when they are made.
            Self::Shared(tensor) => tensor.try_extract_tensor().map_or(&[], |(_, values)| values),
            Self::Own { values, .. } => values,
        }
    }
}

/// Each matrix of so many rows and columns transposed, one after the other.
fn transposed(values: &[f32], size: (usize, usize)) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    transpose(values, size, &mut out);
    out
}

/// Fills `out` with each matrix of so many rows and columns transposed, one after the other.
fn transpose(values: &[f32], (rows, columns): (usize, usize), out: &mut [f32]) {
    /// Rows and columns of a piece that stays in the cache.
    const PIECE: usize = 32;
    let area = (rows * columns).max(1);
    for (from, to) in values.chunks_exact(area).zip(out.chunks_exact_mut(area)) {
        for top in (0..rows).step_by(PIECE) {
            for left in (0..columns).step_by(PIECE) {
                for column in left..columns.min(left + PIECE) {
                    for row in top..rows.min(top + PIECE) {
                        to[column * rows + row] = from[row * columns + column];
                    }
                }
            }
        }
    }
}

/// ONNX Runtime, loaded on the first call; one that failed may be tried again.
fn environment() -> Result<Environment> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut loaded = lock(&ENVIRONMENT);
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    // ort looks there, too, but panics where nothing is found.
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let library = named.map_or_else(|| format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}").into(), PathBuf::from);
    let fail = |problem| Error::Library { problem };
    let load = || ort::init_from(&library).map_err(|error| causes(&error));
    let builder = guarded(load).map_err(fail)?;
    let environment = guarded(|| builder.with_name("densepose").with_telemetry(false).build()).map_err(fail)?;
    Ok(loaded.insert(environment).clone())
}

/// The error with what the system says, which ort leaves out.
fn causes(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        }
        other => other.to_string(),
    }
}

/// What ort calls the provider, if the library has it.
fn provider_of(provider: Provider) -> Result<ExecutionProviderDispatch> {
    if is_available(provider) {
        return Ok(entry(provider).1);
    }
    let available: Vec<Provider> = Provider::ALL.into_iter().filter(|&p| is_available(p)).collect();
    Err(Error::Provider { provider, problem: format!("the library was built with {} only", names(&available)) })
}

fn is_available(provider: Provider) -> bool {
    guarded(|| entry(provider).0).unwrap_or(false)
}

/// Whether the library was built with a provider, and the provider itself.
fn entry(provider: Provider) -> (ort::Result<bool>, ExecutionProviderDispatch) {
    fn entry<P: ExecutionProvider + Default + Into<ExecutionProviderDispatch>>()
    -> (ort::Result<bool>, ExecutionProviderDispatch) {
        (P::is_available(), P::default().into().error_on_failure())
    }
    match provider {
        Provider::Acl => entry::<ep::ACL>(),
        Provider::Cann => entry::<ep::CANN>(),
        Provider::CoreMl => entry::<ep::CoreML>(),
        Provider::Cpu => entry::<ep::CPU>(),
        Provider::Cuda => entry::<ep::CUDA>(),
        Provider::DirectMl => entry::<ep::DirectML>(),
        Provider::MiGraphX => entry::<ep::MIGraphX>(),
        Provider::Nnapi => entry::<ep::NNAPI>(),
        Provider::OneDnn => entry::<ep::OneDNN>(),
        Provider::OpenVino => entry::<ep::OpenVINO>(),
        Provider::Qnn => entry::<ep::QNN>(),
        Provider::Rocm => entry::<ep::ROCm>(),
        Provider::TensorRt => entry::<ep::TensorRT>(),
        Provider::Xnnpack => entry::<ep::XNNPACK>(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::backend::Backend;
    use super::*;

    /// Several items at once in these layouts, by tract and by ONNX Runtime.
    fn assert_same(input: Layout, outputs: Layout) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/densepose_head.onnx");
        let file = File::open(path);
        let results = [Backend::Tract, Backend::OnnxRuntime { providers: vec![Provider::Cpu] }].map(|backend| {
            let graph = engine::load(&backend, &file, ("rois", input), &[("v", outputs), ("fine", outputs)]).unwrap();
            let program = graph.program([16, 16, 16], true).unwrap();
            let mut runner = program.runner(&Threads::one()).unwrap();
            for (i, value) in runner.input(3).iter_mut().enumerate() {
                *value = (i as f32 * 0.37).sin();
            }
            (program.outputs().to_vec(), runner.run(&Threads::one()).unwrap())
        });
        let [(expected_shapes, expected), (shapes, found)] = results;
        assert_eq!(shapes, expected_shapes);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.dims(), expected.dims());
            assert_eq!(found.data().len(), found.dims().iter().product::<usize>());
            let scale = expected.data().iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            let pairs = found.data().iter().zip(expected.data());
            assert!(scale > 0.0 && pairs.clone().all(|(a, b)| (a - b).abs() <= 1e-5 * scale), "{input:?} {outputs:?}");
        }
    }

    #[test]
    fn layouts_and_several_items_are_as_with_tract() {
        assert_same(Layout::ChannelsFirst, Layout::ChannelsFirst);
        assert_same(Layout::ChannelsLast, Layout::ChannelsFirst);
        assert_same(Layout::ChannelsFirst, Layout::ChannelsLast);
    }

    #[test]
    fn matrices_are_transposed_one_by_one() {
        for (rows, columns) in [(1, 1), (2, 3), (33, 65), (64, 32), (1, 40)] {
            let values: Vec<f32> = (0..2 * rows * columns).map(|i| i as f32).collect();
            let out = transposed(&values, (rows, columns));
            for (i, &value) in values.iter().enumerate() {
                let (matrix, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
                assert_eq!(out[matrix * rows * columns + column * rows + row], value, "{rows}x{columns}");
            }
        }
        assert!(transposed(&[], (0, 3)).is_empty());
    }
}
