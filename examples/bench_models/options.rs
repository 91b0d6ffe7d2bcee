//! The command line.

use std::str::FromStr;

use crate::Outcome;

/// What to do.
pub enum Task {
    /// Measure all and report.
    All(Options),
    /// Measure one model at one size: what the processes started for that do.
    One(Point),
}

pub struct Options {
    pub models: Vec<String>,
    /// Shorter sides of the frame in the network.
    pub sizes: Vec<usize>,
    /// Numbers of people to measure at `people_size`; at other sizes there is one.
    pub people: Vec<usize>,
    pub people_size: usize,
    pub threads: usize,
    pub rounds: usize,
    pub frames: usize,
    pub seconds: f64,
    pub records: Option<String>,
    pub json: Option<String>,
    pub markdown: Option<String>,
}

/// A model at a size.
pub struct Point {
    pub model: String,
    pub short_side: usize,
    pub people: Vec<usize>,
    pub threads: usize,
    /// Frames to measure for each number of people, ...
    pub frames: usize,
    /// ... fewer (at least one) where that would take longer than this.
    pub seconds: f64,
}

/// The paper's Table 4 has six sizes.
const SIZES: [usize; 6] = [192, 256, 320, 400, 512, 800];
const MOST_PEOPLE: usize = 8;

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Task> {
        let mut options = Self {
            models: Vec::new(),
            sizes: SIZES.to_vec(),
            people: (1..=5).collect(),
            people_size: 512,
            threads: 0,
            rounds: 3,
            frames: 5,
            seconds: 4.0,
            records: None,
            json: None,
            markdown: None,
        };
        let mut one = false;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--sizes" => options.sizes = numbers(&argument, &value()?, 32..=2048)?,
                "--people" => options.people = numbers(&argument, &value()?, 1..=MOST_PEOPLE)?,
                "--people-size" => options.people_size = number(&argument, &value()?)?,
                "--threads" => options.threads = number(&argument, &value()?)?,
                "--rounds" => options.rounds = number::<usize>(&argument, &value()?)?.max(1),
                "--frames" => options.frames = number::<usize>(&argument, &value()?)?.max(1),
                "--seconds" => options.seconds = number(&argument, &value()?)?,
                "--records" => options.records = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--markdown" => options.markdown = Some(value()?),
                "--quick" => {
                    (options.sizes, options.people_size, options.people) = (vec![64, 96], 96, vec![1, 2]);
                    (options.rounds, options.frames) = (1, 1);
                }
                "--one" => one = true,
                _ if argument.starts_with('-') => return Err(format!("unknown option {argument}").into()),
                _ => options.models.push(argument),
            }
        }
        if options.models.is_empty() {
            return Err("which models? Give directories with a model.json, as zoo.export writes them".into());
        }
        if one {
            let (model, short_side) = (options.models.swap_remove(0), options.sizes[0]);
            let Self { people, threads, frames, seconds, .. } = options;
            return Ok(Task::One(Point { model, short_side, people, threads, frames, seconds }));
        }
        // Where people are counted, too.
        if !options.sizes.contains(&options.people_size) {
            options.people_size = options.sizes[options.sizes.len() - 1];
        }
        Ok(Task::All(options))
    }

    /// What to measure of a model at a size.
    pub fn point(&self, model: &str, short_side: usize) -> Point {
        let people = if short_side == self.people_size { self.people.clone() } else { vec![1] };
        let &Self { threads, frames, seconds, .. } = self;
        Point { model: model.into(), short_side, people, threads, frames, seconds }
    }
}

impl Point {
    /// The command line that asks for this.
    pub fn arguments(&self) -> Vec<String> {
        let people: Vec<String> = self.people.iter().map(usize::to_string).collect();
        let pairs = [
            ("--sizes", self.short_side.to_string()),
            ("--people", people.join(",")),
            ("--threads", self.threads.to_string()),
            ("--frames", self.frames.to_string()),
            ("--seconds", self.seconds.to_string()),
        ];
        let pairs = pairs.into_iter().flat_map(|(option, value)| [option.to_string(), value]);
        [self.model.clone(), "--one".into()].into_iter().chain(pairs).collect()
    }
}

fn number<T: FromStr>(option: &str, text: &str) -> Outcome<T> {
    text.trim().parse().map_err(|_| format!("{option} wants a number, not \"{text}\"").into())
}

/// Numbers between commas, in order and each once.
fn numbers(option: &str, text: &str, range: std::ops::RangeInclusive<usize>) -> Outcome<Vec<usize>> {
    let mut numbers: Vec<usize> = text.split(',').map(|n| number(option, n)).collect::<Outcome<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    match numbers.iter().find(|&n| !range.contains(n)) {
        Some(n) => Err(format!("{option} takes {} to {}, not {n}", range.start(), range.end()).into()),
        None => Ok(numbers),
    }
}
