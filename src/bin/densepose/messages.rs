//! GStreamer's messages in words of ours, with what to do.

use std::path::Path;
use std::time::Duration;

use crate::outcome::{Failure, Kind};
use crate::packages;

/// What an error message on the bus says, if there is one.
pub fn failure(bus: &gst::Bus, name: &Path) -> Option<Failure> {
    let mut missing = None;
    // A decoder that is missing is named by a message of its own, before the error.
    while let Some(message) = bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Element]) {
        missing = missing_plugin(&message).or(missing);
        if message.type_() == gst::MessageType::Error {
            return Some(explained(&message, name, missing));
        }
    }
    missing
}

/// What a `missing-plugin` message says.
pub fn missing_plugin(message: &gst::Message) -> Option<Failure> {
    let structure = message.structure().filter(|s| s.name() == "missing-plugin")?;
    let what = structure.get::<String>("name").unwrap_or_else(|_| "a plugin".to_owned());
    let details = match structure.get::<gst::Caps>("detail") {
        Ok(caps) => caps.to_string(),
        Err(_) => structure.get::<String>("detail").unwrap_or_default(),
    };
    let cause = format!("GStreamer has no {what} ({})", details.split(',').next().unwrap_or_default());
    Some(Failure::new(Kind::Missing, cause).remedy(packages::of_details(&details)))
}

/// An error message, as the failure to work on `name`.
pub fn explained(message: &gst::Message, name: &Path, missing: Option<Failure>) -> Failure {
    let gst::MessageView::Error(error) = message.view() else {
        return Failure::failed(format!("'{}': {message:?}", name.display()));
    };
    if let Some(missing) = missing {
        return missing;
    }
    let source = message.src().map(|s| s.to_string()).unwrap_or_default();
    let details = error.debug().map(|d| d.lines().skip(1).collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let details = if details.trim().is_empty() { String::new() } else { format!(" ({})", details.trim()) };
    let error = error.error();
    let failure = Failure::failed(format!("'{}': {}{details}, says {source}", name.display(), error.message()));
    if error.kind::<gst::StreamError>().is_some() {
        failure.remedy("Is it whole, and a video or photo? What is in it: gst-discoverer-1.0 FILE")
    } else if error.matches(gst::ResourceError::NoSpaceLeft) {
        failure.remedy("Free some space, or write to another disk.")
    } else {
        failure
    }
}

pub fn stalled(timeout: Duration, what: &str) -> Failure {
    let cause = format!("nothing moved for {} s: {what}", timeout.as_secs());
    Failure::new(Kind::Stalled, cause).remedy("If the machine or the source is that slow, give more --timeout.")
}
