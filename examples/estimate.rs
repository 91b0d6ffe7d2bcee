//! Finds the people in a picture, without GStreamer.
//!
//!     cargo run --release --example estimate -- PICTURE [--model DIR] [--short-side N] [--threads N]
//!         [--score-threshold S] [--max-persons N] [--iuv IUV.png] [--out OVERLAY.png]
//!         [--onnxruntime PROVIDERS]
//!
//! Prints a line of JSON for each person: id, score, box in pixels and the share of the box that is body. `--iuv` writes
//! the raw map as a PNG (red = part, green = U, blue = V), `--out` the picture with the parts painted on the people.
//! `--onnxruntime cpu` (with `--features onnxruntime`) runs the network by ONNX Runtime instead of tract.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use gstdensepose::estimator::{Backend, Estimator, Model, Options, Provider};
use gstdensepose::image::{Image, ImageMut};
use gstdensepose::person::Person;
use gstdensepose::render::{self, Canvas, Style, StyleKind};
use image::RgbImage;

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    picture: String,
    model: Option<String>,
    options: Options,
    backend: Backend,
    iuv: Option<String>,
    overlay: Option<String>,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self::default();
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--model" => arguments.model = Some(value()?),
                "--short-side" => arguments.options.short_side = value()?.parse()?,
                "--threads" => arguments.options.threads = value()?.parse()?,
                "--score-threshold" => arguments.options.score_threshold = Some(value()?.parse()?),
                "--max-persons" => arguments.options.max_persons = Some(value()?.parse()?),
                "--onnxruntime" => {
                    arguments.backend = Backend::OnnxRuntime { providers: Provider::list(&value()?)? };
                }
                "--iuv" => arguments.iuv = Some(value()?),
                "--out" => arguments.overlay = Some(value()?),
                _ if arguments.picture.is_empty() && !name.starts_with('-') => arguments.picture = name,
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        if arguments.picture.is_empty() {
            return Err("name a picture".into());
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("estimate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let picture = image::open(&arguments.picture)?.to_rgb8();
    let model = match &arguments.model {
        Some(directory) => Model::open(directory)?,
        None => Model::embedded()?,
    };
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut estimator = Estimator::with_backend(&model, arguments.options, &arguments.backend)?;
    estimator.prepare((width, height), 1.0)?;
    let start = Instant::now();
    let persons = estimator.estimate(&Image::rgb(width, height, &picture)?)?;
    eprintln!("{} people in {:.0} ms", persons.len(), start.elapsed().as_secs_f64() * 1e3);
    persons.iter().for_each(|person| println!("{}", describe(person)));

    let raw = Style { style: StyleKind::Iuv, canvas: Canvas::Black, opacity: 1.0, ..Style::default() };
    let painted = Style { boxes: true, labels: true, ..Style::default() };
    for (path, style) in [(&arguments.iuv, raw), (&arguments.overlay, painted)] {
        if let Some(path) = path {
            draw(picture.clone(), &persons, &style)?.save(path)?;
        }
    }
    Ok(())
}

fn describe(person: &Person) -> serde_json::Value {
    let pixels = person.width() * person.height();
    let body = person.iuv.data().chunks_exact(3).filter(|pixel| pixel[0] > 0).count();
    serde_json::json!({
        "id": person.id, "score": person.score, "x": person.x, "y": person.y,
        "w": person.width(), "h": person.height(), "body": body as f32 / pixels as f32,
    })
}

fn draw(mut picture: RgbImage, persons: &[Person], style: &Style) -> Result<RgbImage, Box<dyn Error>> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    render::draw(&mut ImageMut::rgb(width, height, &mut picture)?, persons, style);
    Ok(picture)
}
