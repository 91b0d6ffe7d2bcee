//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use clap_complete::Shell;

const ABOUT: &str = "Draws the body parts of everybody on videos and photos, and writes them to files";

const EXAMPLES: &str = "\
Examples:
  densepose in.mp4 out.mp4                          draw on a video, keep its sound
  densepose photo.jpg drawn.png                     a photo
  densepose photos/ drawn/                          a folder of photos
  densepose /dev/video0 out.mp4 --seconds 10        ten seconds of a camera
  densepose rtsp://camera.local/stream out.mkv      a network camera, until Ctrl-C
  densepose in.mp4 out.mp4 --preset magic-animate   as MagicAnimate takes it
  densepose in.mp4 out.mp4 --parts 23,24 --effect pixelate    hide faces
  densepose in.mp4 out.mp4 --data people.jsonl      what was found, too
  densepose in.mp4 --data results.json              COCO results alone
  densepose in.mp4 out.mp4 --encoder 'x264enc speed-preset=slow pass=qual quantizer=16 vbv-buf-capacity=0'

Exit codes:
  0  all was done
  1  an input could not be read, or an output could not be written
  2  wrong usage
  3  an output is there already, and --force was not given
  4  something is not installed; the message names the package
  5  nothing moved for the time of --timeout
  130  Ctrl-C or SIGTERM; the files hold what was done until then, and can be played";

/// What the user asks for.
pub struct Arguments {
    pub input: String,
    pub output: Option<PathBuf>,
    pub data: Vec<PathBuf>,
    pub picture: Option<PathBuf>,
    pub force: bool,
    pub sound: bool,
    pub seconds: Option<f64>,
    pub timeout: Duration,
    pub encoder: Option<String>,
    pub photo_format: String,
    pub quiet: bool,
    /// Properties of `densepose`, as in a pipeline, then those that have an option of their own.
    pub densepose: Properties,
    /// Properties of `densepose-overlay`, likewise.
    pub overlay: Properties,
    /// Properties of `densepose-export`.
    pub export: Properties,
}

/// Properties of an element: text as in a pipeline, and pairs of name and value.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    pub text: String,
    pub pairs: Vec<(&'static str, String)>,
}

impl Properties {
    pub fn of(matches: &ArgMatches, text: &str, names: &[&'static str]) -> Self {
        let given = |name: &str| matches.get_one::<String>(name).cloned();
        let pairs = names.iter().filter_map(|name| Some((*name, given(name)?)));
        Self { text: given(text).unwrap_or_default(), pairs: pairs.collect() }
    }

    /// Whether `name` is set.
    pub fn value(&self, name: &str) -> Option<&str> {
        let text = self.text.split_whitespace().filter_map(|word| word.split_once('=')).find(|(n, _)| *n == name);
        let pair = self.pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        pair.or(text.map(|(_, value)| value.trim_matches('"')))
    }
}

/// What the program does.
pub enum Task {
    Work(Box<Arguments>),
    /// Print a script that completes the options in a shell.
    Completions(Shell),
    /// Print the manual page.
    Manual,
}

/// Reads the command line; ends the program where it is wrong or asks for help.
pub fn parse() -> Task {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("completions", shell)) => Task::Completions(*shell.get_one("shell").expect("a required argument")),
        Some(_) => Task::Manual,
        None => Task::Work(Box::new(arguments(&matches))),
    }
}

fn arguments(matches: &ArgMatches) -> Arguments {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Arguments {
        input: text("input").expect("a required argument"),
        output: path("output"),
        data: matches.get_many::<PathBuf>("data").unwrap_or_default().cloned().collect(),
        picture: path("picture"),
        force: matches.get_flag("force"),
        sound: !matches.get_flag("no-sound"),
        seconds: matches.get_one("seconds").copied(),
        timeout: Duration::from_secs(*matches.get_one::<u64>("timeout").expect("it has a default")),
        encoder: text("encoder"),
        photo_format: text("photo-format").expect("it has a default"),
        quiet: matches.get_flag("quiet"),
        densepose: Properties::of(matches, "densepose", &["model", "interval", "short-side", "score-threshold"]),
        overlay: Properties::of(matches, "overlay", &["preset", "style", "parts", "effect", "opacity", "canvas"]),
        export: Properties::of(matches, "export", &["fields"]),
    }
}

/// The options, of which help, completions and the manual page are made.
pub fn command() -> Command {
    let properties = "Further properties, as in a pipeline: NAME=VALUE ...";
    Command::new("densepose")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .arg(input())
        .arg(
            file("output", "OUTPUT", "The drawn video (.mp4, .mov, .mkv, .webm, .ts), photo (.png, .jpg) or folder")
                .index(2),
        )
        .next_help_heading("Outputs")
        .arg(
            file("data", "FILE", "What was found: .jsonl, .json (COCO) or .pt (detectron2); a folder for photos")
                .long("data")
                .action(ArgAction::Append),
        )
        .arg(file("picture", "FILE", "One picture of the drawn video, .png or .jpg").long("picture"))
        .arg(flag("force", "Replace files that are there").short('f'))
        .arg(flag("no-sound", "Leave the sound out"))
        .arg(number("seconds", "Stop after so many seconds of the input", seconds()))
        .arg(option("encoder", "ELEMENT", "Encode the video by this element, with its properties"))
        .arg(
            option("photo-format", "FORMAT", "Files of a folder of photos")
                .value_parser(["png", "jpg"])
                .default_value("png"),
        )
        .next_help_heading("Finding people (densepose)")
        .arg(option("model", "FOLDER", "Another network than the one inside").value_hint(ValueHint::DirPath))
        .arg(option("interval", "N", "Run the network on every Nth frame"))
        .arg(option("short-side", "PIXELS", "Size of the picture that the network sees"))
        .arg(option("score-threshold", "SCORE", "Least confidence of a person, 0 to 1"))
        .arg(option("densepose", "PROPERTIES", properties))
        .next_help_heading("Drawing (densepose-overlay)")
        .arg(option("preset", "PRESET", "Draw as another tool does: magic-animate, vitonhd, catvton, ..."))
        .arg(option("style", "STYLE", "parts, u, v, contour, iuv, texture, ..."))
        .arg(option("parts", "PARTS", "Only these parts, such as 23,24 (the face)"))
        .arg(option("effect", "EFFECT", "paint, blur, pixelate or fill"))
        .arg(option("opacity", "OPACITY", "Weight of the drawing, 0 to 1"))
        .arg(option("canvas", "CANVAS", "What is drawn on: video, gray, black or palette"))
        .arg(option("overlay", "PROPERTIES", properties))
        .next_help_heading("Writing data (densepose-export)")
        .arg(option("fields", "FIELDS", "What is kept of a person, such as id,score,box"))
        .arg(option("export", "PROPERTIES", properties))
        .next_help_heading("Other")
        .arg(
            number("timeout", "Give up when nothing moves for so many seconds", value_parser!(u64).range(1..).into())
                .default_value("60"),
        )
        .arg(flag("quiet", "Show no progress").short('q'))
        .subcommand(
            Command::new("completions")
                .about("Print a script that completes these options in a shell")
                .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell))),
        )
        .subcommand(Command::new("manual").about("Print the manual page, for man").hide(true))
}

fn input() -> Arg {
    Arg::new("input")
        .value_name("INPUT")
        .required(true)
        .help(
            "A video, a photo, a folder of photos, a camera (/dev/video0), an address (rtsp://..., https://...), or \
             'pipeline:' and the elements of a GStreamer source",
        )
        .value_hint(ValueHint::AnyPath)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn file(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    let path = Arg::new(name).value_name(value).help(help).value_parser(value_parser!(PathBuf));
    path.value_hint(ValueHint::AnyPath)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn number(name: &'static str, help: &'static str, parser: ValueParser) -> Arg {
    option(name, "SECONDS", help).value_parser(parser)
}

/// A length of time, above zero.
fn seconds() -> ValueParser {
    ValueParser::new(|text: &str| match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(seconds),
        _ => Err(format!("'{text}' is no number of seconds above zero")),
    })
}
