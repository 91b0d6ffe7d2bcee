//! What may be asked for.

use std::error::Error;
use std::str::FromStr;

/// See the table in `main.rs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub what: What,
    pub threads: usize,
    /// A directory, or `-`.
    pub model: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Trunk { height: usize, width: usize },
    BoxHead { rois: usize },
    DensePoseHead { rois: usize },
    Frame { width: usize, height: usize, short_side: usize, people: usize },
    Profile { height: usize, width: usize },
    Peak,
}

impl FromStr for Request {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (word, mut rest) = line.trim().split_once(' ').ok_or(format!("\"{line}\" is no request"))?;
        let mut number = |name: &str| {
            let (text, others) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
            rest = others;
            let number = text.parse::<usize>().ok().filter(|number| (1..=16384).contains(number));
            number.ok_or(format!("{word} wants a number for {name}, 1 to 16384, not \"{text}\""))
        };
        let threads = number("THREADS")?;
        let what = match word {
            "trunk" => What::Trunk { height: number("HEIGHT")?, width: number("WIDTH")? },
            "box_head" => What::BoxHead { rois: number("ROIS")? },
            "densepose_head" => What::DensePoseHead { rois: number("ROIS")? },
            "frame" => What::Frame {
                width: number("WIDTH")?,
                height: number("HEIGHT")?,
                short_side: number("SHORT_SIDE")?,
                people: number("PEOPLE")?,
            },
            "profile" => What::Profile { height: number("HEIGHT")?, width: number("WIDTH")? },
            "peak" => What::Peak,
            _ => return Err(format!("unknown request {word}").into()),
        };
        // The rest of the line, as directories may have blanks in their names.
        let model = rest.trim().to_string();
        if model.is_empty() && what != What::Peak {
            return Err(format!("{word} wants a MODEL, a directory or - for the network inside the library").into());
        }
        Ok(Self { what, threads, model })
    }
}
