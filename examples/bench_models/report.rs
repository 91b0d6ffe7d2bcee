//! What comes out: JSON as the types say, Markdown for people.

use std::fmt::Write;

use serde::Serialize;

use crate::measure::{Frame, Measured};

#[derive(Serialize)]
pub struct Report {
    pub machine: Machine,
    pub rounds: usize,
    /// Size at which numbers of people were measured.
    pub people_size: usize,
    pub models: Vec<ModelReport>,
}

#[derive(Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    /// Average number of running threads in the minute before the measurement.
    pub load: f64,
}

#[derive(Serialize)]
pub struct ModelReport {
    pub name: String,
    /// As the manifest says; models from elsewhere may not say.
    pub parameters: Option<u64>,
    pub disk_bytes: u64,
    /// Most proposals that go through the box head.
    pub proposals: usize,
    pub sizes: Vec<Measured>,
}

impl Machine {
    pub fn this() -> Self {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: name.map_or("unknown processor", |(_, name)| name).trim().into(),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            load: load.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        }
    }
}

impl ModelReport {
    /// The measurement at the size where people were counted.
    fn at(&self, short_side: usize) -> Option<&Measured> {
        self.sizes.iter().find(|m| m.short_side == short_side)
    }
}

impl Report {
    pub fn markdown(&self) -> String {
        let Machine { processor, cores, load } = &self.machine;
        let threads = self.models.iter().flat_map(|m| &m.sizes).map(|m| m.threads).next().unwrap_or(0);
        let size = self.people_size;
        let mut text = format!(
            "{processor}, {cores} cores, {threads} threads, load {load:.1} before; frames of 1280x720, medians of {} rounds.\n",
            self.rounds
        );

        let head = ["parameters", "disk MB", "load ms", "trunk", "proposals", "box head", "DensePose head", "rest"];
        let columns = head.into_iter().map(String::from).chain(["frame".into(), "peak MB".into()]);
        let _ = writeln!(text, "\nMilliseconds at short side {size} with one person, and memory there:\n");
        table(&mut text, columns, &self.models, |model| {
            let parameters = model.parameters.map_or("-".into(), |n| format!("{:.2}M", n as f64 / 1e6));
            let Some((at, frame)) = model.at(size).and_then(|at| Some((at, at.people.first()?))) else { return vec![] };
            let Frame { whole, trunk, proposals, box_head, densepose_head, rest, .. } = *frame;
            let figures = [trunk, proposals, box_head, densepose_head, rest, whole].map(milliseconds);
            let before = [parameters, megabytes(model.disk_bytes), format!("{:.0}", at.load_ms)];
            before.into_iter().chain(figures).chain([megabytes(at.peak_bytes)]).collect()
        });

        let _ = writeln!(text, "\nFrames per second by short side, one person:\n");
        let sizes: Vec<&Measured> = self.models.first().into_iter().flat_map(|m| &m.sizes).collect();
        let columns = sizes.iter().map(|m| format!("{} ({}x{})", m.short_side, m.network.0, m.network.1));
        table(&mut text, columns, &self.models, |model| {
            model.sizes.iter().map(|m| m.people.first().map_or("-".into(), per_second)).collect()
        });

        let _ = writeln!(text, "\nFrames per second by number of people, short side {size}:\n");
        let people = self.models.first().and_then(|m| m.at(size)).into_iter().flat_map(|m| &m.people);
        table(&mut text, people.map(|frame| frame.people.to_string()), &self.models, |model| {
            model.at(size).into_iter().flat_map(|m| &m.people).map(per_second).collect()
        });

        let _ = writeln!(text, "\nPeak memory in MB by short side:\n");
        let columns = sizes.iter().map(|m| m.short_side.to_string());
        table(&mut text, columns, &self.models, |model| model.sizes.iter().map(|m| megabytes(m.peak_bytes)).collect());
        text
    }
}

fn table(
    text: &mut String,
    columns: impl Iterator<Item = String>,
    models: &[ModelReport],
    cells: impl Fn(&ModelReport) -> Vec<String>,
) {
    let columns: Vec<String> = columns.collect();
    let _ = writeln!(text, "| model | {} |\n|---|{}", columns.join(" | "), "---:|".repeat(columns.len()));
    for model in models {
        let _ = writeln!(text, "| {} | {} |", model.name, cells(model).join(" | "));
    }
}

fn per_second(frame: &Frame) -> String {
    format!("{:.2}", 1e3 / frame.whole)
}

fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
