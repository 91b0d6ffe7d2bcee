//! ONNX networks, loaded and run. The only module that knows tract.
//!
//! tract plans for concrete shapes, so a [`Graph`] is loaded once and turned into a [`Program`] for each shape.
//! A program runs in any number of [`Runner`]s, one for each thread that uses it.

mod expand;
mod layout;
mod lower;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use tract_onnx::prelude::multithread::Executor;
use tract_onnx::prelude::*;

use self::expand::expand_weights;
pub use self::layout::Layout;
use self::lower::lower;
use super::error::{Error, Result};
use super::model::File;
use crate::lock;

/// A parsed network whose shapes are still open.
pub struct Graph {
    file: String,
    model: InferenceModel,
    /// Of the input.
    input: Layout,
    /// Of each output.
    outputs: Vec<Layout>,
}

impl Graph {
    /// Reads the network in `file`, which must have the one input `input` and at least the outputs `outputs`; they
    /// come out in this order. Each is taken and given in its layout, whatever the file has.
    pub fn load(file: &File, (input, layout): (&str, Layout), outputs: &[(&str, Layout)]) -> Result<Self> {
        let fail = |problem| Error::Network { file: file.name.clone(), problem };
        let parse = || {
            let onnx = onnx().with_ignore_value_info(true);
            let mut proto = onnx.proto_model_for_read(&mut &*file.bytes)?;
            if let Some(graph) = &mut proto.graph {
                expand_weights(graph)?;
            }
            onnx.model_for_proto_model(&proto)
        };
        let mut model = guarded(parse).map_err(|cause| fail(format!("is no readable ONNX network: {cause}")))?;
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
        Ok(Self { file: file.name.clone(), model, input: layout, outputs })
    }

    /// Compiles the network for items of this shape, (channels, rows, columns) whatever the input's layout (a fraction
    /// of a second).
    pub fn program(&self, item: [usize; 3]) -> Result<Program> {
        let fail = |problem| Error::Network { file: self.file.clone(), problem };
        let shape = [1, item[0], item[1], item[2]];
        let compile = || {
            let typed = self.model.clone().with_input_fact(0, f32::fact(shape).into())?.into_typed()?;
            lower(&typed, self.input, &self.outputs)?.into_optimized().map(Arc::new)
        };
        let model =
            guarded(compile).map_err(|cause| fail(format!("does not run on an input of {shape:?}: {cause}")))?;
        let outputs = (0..model.outputs.len())
            .map(|i| {
                let fact = model.output_fact(i).ok()?;
                let shape = fact.shape.as_concrete()?.to_vec();
                (fact.datum_type == f32::datum_type()).then_some(shape)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| fail("has outputs of unknown shape, or that are no 32-bit floats".into()))?;
        let input = self.input.arrange(&shape);
        Ok(Program { file: self.file.clone(), model, item, input, outputs })
    }
}

/// A network compiled for items of one shape.
pub struct Program {
    file: String,
    model: Arc<TypedModel>,
    item: [usize; 3],
    /// Shapes for one item, in their layouts.
    input: Vec<usize>,
    outputs: Vec<Vec<usize>>,
}

impl Program {
    /// Shapes of the outputs for one item, in their layouts.
    pub fn outputs(&self) -> &[Vec<usize>] {
        &self.outputs
    }

    /// What it was compiled for: (channels, rows, columns).
    pub fn item(&self) -> [usize; 3] {
        self.item
    }

    /// Complains unless output `index`, called `name`, has the expected shape; `None` stands for any length.
    pub fn expect(&self, index: usize, name: &str, expected: &[Option<usize>]) -> Result<()> {
        let shape = &self.outputs[index];
        let fits = shape.len() == expected.len()
            && shape.iter().zip(expected).all(|(&have, want)| have > 0 && want.is_none_or(|want| want == have));
        if fits {
            return Ok(());
        }
        let expected: Vec<String> = expected.iter().map(|n| n.map_or("any".into(), |n| n.to_string())).collect();
        Err(self.misfit(index, name, &format!("({})", expected.join(", "))))
    }

    fn misfit(&self, index: usize, name: &str, expected: &str) -> Error {
        let problem = format!(
            "puts out \"{name}\" with the shape {:?} for an input of {:?}, expected is {expected}",
            self.outputs[index], self.input
        );
        Error::Network { file: self.file.clone(), problem }
    }

    /// Something that runs the program, each layer on all of `threads`.
    pub fn runner(&self, threads: &Threads) -> Result<Runner> {
        let options = RunOptions { executor: Some(threads.0.clone()), ..RunOptions::default() };
        let fail = |problem| Error::Network { file: self.file.clone(), problem };
        let plan = guarded(|| TypedSimplePlan::new_with_options(self.model.clone(), &options)).map_err(fail)?;
        let state = guarded(|| plan.spawn()).map_err(fail)?;
        let input = guarded(|| Tensor::zero::<f32>(&self.input)).map_err(fail)?;
        Ok(Runner { file: self.file.clone(), plan, state, input: Arc::new(input), items: Vec::new() })
    }
}

/// Runs a program, over and over.
pub struct Runner {
    file: String,
    plan: Arc<TypedSimplePlan>,
    state: TypedSimpleState,
    /// One item.
    input: Arc<Tensor>,
    /// All of them.
    items: Vec<f32>,
}

impl Runner {
    /// The input for so many items, one after the other, to be filled before [`run`](Self::run); it keeps what was
    /// written last.
    pub fn input(&mut self, count: usize) -> &mut [f32] {
        self.items.resize(count * self.input.len(), 0.0);
        &mut self.items
    }

    /// Runs the network on the input. The outputs have as many items as the input.
    pub fn run(&mut self) -> Result<Vec<Output>> {
        let mut outputs: Vec<Output> = Vec::new();
        let length = self.input.len();
        for start in (0..self.items.len()).step_by(length.max(1)) {
            // Nobody else holds the tensor between runs, so nothing is copied here but the values.
            let view = Arc::make_mut(&mut self.input).to_plain_array_view_mut::<f32>();
            if let Some(values) = view.ok().and_then(|view| view.into_slice()) {
                values.copy_from_slice(&self.items[start..start + length]);
            }
            let values = self.run_item()?;
            match outputs.is_empty() {
                true => outputs = values,
                false => outputs.iter_mut().zip(values).for_each(|(output, value)| output.append(value)),
            }
        }
        Ok(outputs)
    }

    fn run_item(&mut self) -> Result<Vec<Output>> {
        let input = TValue::from_const(self.input.clone());
        let outcome = guarded(|| self.state.run(tvec![input]));
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

    /// The shape in the output's layout, items first, with 1 for axes that it does not have.
    pub fn dims(&self) -> [usize; 4] {
        self.dims
    }

    /// The values, last axis fastest.
    pub fn data(&self) -> &[f32] {
        match &self.values {
            // Programs with outputs of another type are refused when they are made.
            Values::Tensor(tensor) => tensor.as_plain_ram().and_then(|view| view.as_slice().ok()).unwrap_or_default(),
            Values::Joined(values) => values,
        }
    }
}

/// A pool of threads.
#[derive(Clone)]
pub struct Threads(Executor);

impl Threads {
    /// Just the calling thread.
    pub fn one() -> Self {
        Self(Executor::SingleThread)
    }

    /// A pool of `count` threads, one for each core if 0.
    pub fn new(count: usize) -> Result<Self> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n.min(MOST_THREADS),
        };
        match count {
            1 => Ok(Self::one()),
            n => match guarded(|| Ok(Executor::multithread_with_name(n, "densepose"))) {
                Ok(executor) => Ok(Self(executor)),
                Err(problem) => Err(Error::Threads { count: n, problem }),
            },
        }
    }

    pub fn count(&self) -> usize {
        match &self.0 {
            Executor::MultiThread(pool) => pool.current_num_threads(),
            _ => 1,
        }
    }

    /// Does `work` with each of `items`, each on a thread of its own as far as there are any.
    pub fn each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync) {
        match &self.0 {
            Executor::MultiThread(pool) if items.len() > 1 => pool.scope(|scope| {
                let work = &work;
                for item in items {
                    scope.spawn(move |_| work(item));
                }
            }),
            _ => items.iter_mut().for_each(work),
        }
    }

    /// Does `work` for 0, 1, .. `count` - 1, shared out among `workers`, each of which is on a thread of its own.
    /// Results come in order.
    pub fn share<W: Send, T: Send>(
        &self,
        workers: &mut [W],
        count: usize,
        work: impl Fn(&mut W, usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let next = Mutex::new(0..count);
        let results = Mutex::new(Vec::with_capacity(count));
        self.each(workers, |worker| {
            loop {
                // Not in the condition, where the lock would last as long as the work.
                let Some(index) = lock(&next).next() else { break };
                let result = work(worker, index);
                lock(&results).push((index, result));
            }
        });
        let mut results = results.into_inner().unwrap_or_else(|poison| poison.into_inner());
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// More threads than this help no network of this size.
const MOST_THREADS: usize = 64;

/// The result of `f`, or why it failed, be it by a panic: tract has some left for graphs that make no sense.
fn guarded<T>(f: impl FnOnce() -> TractResult<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_shared_and_comes_back_in_order() {
        for count in [1, 2, 4] {
            let threads = Threads::new(count).unwrap();
            assert_eq!(threads.count(), count);
            let mut workers = vec![0; count];
            let squares = threads.share(&mut workers, 9, |done, i| {
                *done += 1;
                Ok(i * i)
            });
            assert_eq!(squares.unwrap(), [0, 1, 4, 9, 16, 25, 36, 49, 64]);
            assert_eq!(workers.iter().sum::<usize>(), 9);
        }
        assert!(Threads::new(0).unwrap().count() >= 1);
    }

    #[test]
    fn workers_work_at_the_same_time() {
        let (active, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = Threads::new(2).unwrap();
        let done = threads.share(&mut [(), ()], 4, |(), _| {
            most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            active.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn the_first_failure_is_told() {
        let threads = Threads::new(2).unwrap();
        let outcome: Result<Vec<()>> = threads.share(&mut [(), ()], 5, |(), i| match i {
            2 | 4 => Err(Error::NotEmbedded),
            _ => Ok(()),
        });
        assert!(matches!(outcome, Err(Error::NotEmbedded)));
    }

    #[test]
    fn eight_bit_weights_are_expanded_on_loading() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-int8/densepose_head.onnx");
        let file = File { name: path.into(), bytes: std::fs::read(path).unwrap().into() };
        let graph = Graph::load(&file, ("rois", Layout::ChannelsFirst), &[("fine", Layout::ChannelsFirst)]).unwrap();
        let constants =
            graph.model.nodes.iter().filter_map(|node| node.op_as::<tract_onnx::tract_hir::ops::konst::Const>());
        let types: Vec<_> = constants.map(|c| (c.val().len(), c.val().datum_type())).collect();
        assert!(types.iter().any(|&(length, _)| length > 1000), "{types:?}");
        assert!(types.iter().all(|&(length, kind)| length == 1 || kind == f32::datum_type()), "{types:?}");
    }

    #[test]
    fn panics_become_messages() {
        assert_eq!(guarded::<()>(|| panic!("no {}", "graph")), Err("no graph".into()));
        assert_eq!(guarded::<()>(|| panic!("no graph")), Err("no graph".into()));
        assert_eq!(guarded(|| Ok(3)), Ok(3));
    }
}
