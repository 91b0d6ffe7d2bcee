//! The program `densepose`: the plugin's elements for files, cameras and streams, without a pipeline to write.
//!
//! It is made of pipelines of the plugin's own elements, registered from within: nothing has to be installed where
//! GStreamer looks for plugins. `densepose --help` says what it does and what its exit codes mean.

mod arguments;
mod candidate;
mod container;
mod drawing;
mod elements;
mod input;
mod interrupt;
mod messages;
mod outcome;
mod packages;
mod photos;
mod picture;
mod progress;
mod run;
mod source;
mod stages;
mod target;
mod video;

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arguments::{Arguments, Task};
use input::Input;
use interrupt::Interrupt;
use outcome::{End, Failure};

fn main() -> ExitCode {
    let result = match arguments::parse() {
        Task::Work(arguments) => work(&arguments),
        Task::Completions(shell) => {
            clap_complete::generate(shell, &mut arguments::command(), "densepose", &mut io::stdout());
            Ok(End::Complete)
        }
        Task::Manual => manual(),
    };
    if let Err(failure) = &result {
        eprintln!("densepose: {failure}");
    }
    outcome::exit_code(&result)
}

fn work(arguments: &Arguments) -> Result<End, Failure> {
    if arguments.output.is_none() && arguments.data.is_empty() && arguments.picture.is_none() {
        let failure = Failure::usage("nothing is to be written: OUTPUT, --data and --picture are missing");
        return Err(failure.remedy("Such as: densepose in.mp4 out.mp4"));
    }
    let input = Input::of(&arguments.input)?;
    refuse_input_as_output(arguments, &input)?;
    let interrupt = Interrupt::new()?;
    gst::init().map_err(|e| Failure::failed(format!("GStreamer does not start: {e}")))?;
    gstdensepose::plugin_register_static().map_err(|e| Failure::failed(e.to_string()))?;
    if matches!(input, Input::Photo(_) | Input::Folder(_)) {
        source::mind_orientation();
    }
    match &input {
        Input::Folder(folder) => {
            photos::check_folders(arguments, folder)?;
            photos::folder(arguments, folder, &interrupt)
        }
        Input::Photo(photo) if arguments.output.as_ref().is_none_or(|o| picture::encoder(o).is_some()) => {
            photos::one(arguments, photo)
        }
        _ => run::video(arguments, &input, &interrupt),
    }
}

/// No file is replaced by what is made of it.
fn refuse_input_as_output(arguments: &Arguments, input: &Input) -> Result<(), Failure> {
    let Some(read) = input.path().and_then(|path| fs::canonicalize(path).ok()) else { return Ok(()) };
    let written = arguments.output.iter().chain(&arguments.data).chain(&arguments.picture);
    for path in written {
        if fs::canonicalize(path).is_ok_and(|path| path == read) {
            return Err(Failure::usage(format!("'{}' is the input, too; it stays as it is", path.display())));
        }
    }
    Ok(())
}

fn manual() -> Result<End, Failure> {
    let page = clap_mangen::Man::new(arguments::command());
    page.render(&mut io::stdout()).map_err(|e| Failure::failed(format!("cannot print the manual: {e}")))?;
    Ok(End::Complete)
}

/// Locks, also if another thread panicked meanwhile: its panic must not turn into one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
