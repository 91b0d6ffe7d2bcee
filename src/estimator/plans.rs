//! Networks and plans that all elements of the process share: loaded with the first that needs them, freed with the last.

use std::sync::{Arc, Mutex};

use super::backend::Backend;
use super::engine::{self, Graph, Program, Runner};
use super::error::Result;
use super::model::{Digest, File};
use super::network::Layout;
use crate::lock;
use crate::shared::Shared;
use crate::threads::Threads;

static NETWORKS: Shared<Key, Network> = Shared::new();
static PLANS: Shared<(Key, Shape), Plan> = Shared::new();

/// What determines a network.
#[derive(Clone, PartialEq)]
struct Key {
    file: Digest,
    backend: Backend,
    input: (String, Layout),
    outputs: Vec<(String, Layout)>,
}

/// What determines a network's plan.
#[derive(Clone, PartialEq)]
struct Shape {
    item: [usize; 3],
    many: bool,
    /// Where the backend has threads of its own; any else.
    threads: Option<usize>,
}

/// A network in its file, and how it is to be read; see [`engine::load`].
pub struct Source<'a> {
    pub backend: &'a Backend,
    pub file: &'a File,
    pub input: (&'a str, Layout),
    pub outputs: &'a [(&'a str, Layout)],
}

impl Source<'_> {
    fn key(&self) -> Key {
        let (name, layout) = self.input;
        let outputs = self.outputs.iter().map(|&(name, layout)| (name.into(), layout)).collect();
        Key { file: self.file.digest, backend: self.backend.clone(), input: (name.into(), layout), outputs }
    }

    /// The network, to be planned for any number of shapes.
    pub fn network(&self) -> Result<Arc<Network>> {
        let key = self.key();
        NETWORKS.get(&key, || {
            let graph = engine::load(self.backend, self.file, self.input, self.outputs)?;
            Ok(Network { key: key.clone(), graph })
        })
    }

    /// The plan for items of this shape, as [`Network::plan`]. The network itself is not kept for other shapes.
    pub fn plan(&self, item: [usize; 3], many: bool, threads: &Threads) -> Result<Arc<Plan>> {
        let key = self.key();
        let shape = key.shape(item, many, threads);
        PLANS.get(&(key, shape), || Plan::new(&*self.network()?.graph, item, many, threads))
    }
}

impl Key {
    fn shape(&self, item: [usize; 3], many: bool, threads: &Threads) -> Shape {
        Shape { item, many, threads: self.backend.has_threads().then(|| threads.count()) }
    }
}

/// A network whose shapes are still open.
pub struct Network {
    key: Key,
    graph: Box<dyn Graph>,
}

impl Network {
    /// The network made ready for items of this shape, see [`Graph::program`], and to run on these threads.
    pub fn plan(&self, item: [usize; 3], many: bool, threads: &Threads) -> Result<Arc<Plan>> {
        let shape = self.key.shape(item, many, threads);
        PLANS.get(&(self.key.clone(), shape), || Plan::new(&*self.graph, item, many, threads))
    }
}

/// A program and what runs it: as many runners as work at the same time, not one for each user.
pub struct Plan {
    program: Box<dyn Program>,
    idle: Mutex<Vec<Box<dyn Runner>>>,
}

impl Plan {
    fn new(graph: &dyn Graph, item: [usize; 3], many: bool, threads: &Threads) -> Result<Self> {
        let program = graph.program(item, many)?;
        // The first one may take long, so it is made here and not for the first picture.
        let first = program.runner(threads)?;
        Ok(Self { program, idle: Mutex::new(vec![first]) })
    }

    pub fn program(&self) -> &dyn Program {
        &*self.program
    }

    /// A runner, to be given back after use; the one used last, whose memory is in the cache.
    pub fn runner(&self, threads: &Threads) -> Result<Box<dyn Runner>> {
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| self.program.runner(threads), Ok)
    }

    /// Takes back a runner.
    pub fn give_back(&self, runner: Box<dyn Runner>) {
        lock(&self.idle).push(runner);
    }

    /// Runners that nobody uses.
    #[cfg(test)]
    pub fn idle(&self) -> usize {
        lock(&self.idle).len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    const OUTPUTS: [(&str, Layout); 1] = [("fine", Layout::ChannelsLast)];

    /// A file that no other test has.
    fn file(mark: u8) -> File {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/densepose_head.onnx");
        File { digest: [mark; 32], ..File::open(path) }
    }

    fn source(file: &File) -> Source<'_> {
        Source { backend: &Backend::Tract, file, input: ("rois", Layout::ChannelsLast), outputs: &OUTPUTS }
    }

    #[test]
    fn the_same_network_is_loaded_once_and_freed_with_its_last_user() {
        let (file, threads) = (file(1), Threads::one());
        let plan = |item| source(&file).plan(item, true, &threads).unwrap();
        let (first, second, larger) = (plan([16, 16, 16]), plan([16, 16, 16]), plan([16, 32, 32]));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &larger));
        let network = source(&file).network().unwrap();
        assert!(Arc::ptr_eq(&network, &source(&file).network().unwrap()));
        assert!(Arc::ptr_eq(&network.plan([16, 16, 16], true, &threads).unwrap(), &first));
        let (freed, closed): (Weak<Plan>, Weak<Network>) = (Arc::downgrade(&first), Arc::downgrade(&network));
        drop((first, network));
        assert!(closed.upgrade().is_none(), "plans do without the network that they were made of");
        assert!(freed.upgrade().is_some(), "the second user still has it");
        drop(second);
        assert!(freed.upgrade().is_none());
    }

    #[test]
    fn other_files_outputs_and_layouts_are_other_networks() {
        let (file, other) = (file(2), file(3));
        let network = source(&file).network().unwrap();
        let outputs = [("fine", Layout::ChannelsFirst)];
        for source in [
            source(&other),
            Source { outputs: &outputs, ..source(&file) },
            Source { outputs: &[], ..source(&file) },
            Source { input: ("rois", Layout::ChannelsFirst), ..source(&file) },
        ] {
            assert!(!Arc::ptr_eq(&source.network().unwrap(), &network));
        }
        assert!(Source { input: ("roi", Layout::ChannelsLast), ..source(&file) }.network().is_err());
    }

    #[test]
    fn as_many_runners_as_work_at_the_same_time() {
        let (file, threads) = (file(4), Threads::one());
        let plan = source(&file).plan([16, 16, 16], true, &threads).unwrap();
        for _ in 0..3 {
            let runner = plan.runner(&threads).unwrap();
            assert_eq!(plan.idle(), 0);
            plan.give_back(runner);
        }
        assert_eq!(plan.idle(), 1, "one user after the other takes the same");
        let both = [(); 2].map(|()| plan.runner(&threads).unwrap());
        both.into_iter().for_each(|runner| plan.give_back(runner));
        assert_eq!(plan.idle(), 2);
    }
}
