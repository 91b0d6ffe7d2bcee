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

/// Networks and plans in use.
#[cfg(test)]
pub fn in_use() -> (usize, usize) {
    (NETWORKS.count(), PLANS.count())
}
