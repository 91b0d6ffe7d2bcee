//! What is done with the people: the elements that draw and write them.

use std::path::Path;

use crate::arguments::{Arguments, Properties};
use crate::elements::{make, own, set};
use crate::input::extension;
use crate::outcome::{Failure, Kind};
use crate::target::make_folder;

/// `densepose-overlay`, with what has to be in front of it: presets and raw values are exact on RGB or gray only.
pub fn elements(overlay: &Properties) -> Result<Vec<gst::Element>, Failure> {
    let preset = overlay.value("preset").filter(|p| *p != "none");
    let raw = overlay.value("style").is_some_and(|s| s.starts_with("iuv"));
    let format = match preset {
        Some("catvton") => Some("GRAY8"),
        Some(_) => Some("RGB"),
        None if overlay.value("style") == Some("index") => Some("GRAY8"),
        None => raw.then_some("RGB"),
    };
    let mut elements = Vec::new();
    if let Some(format) = format {
        elements.extend([make("videoconvert")?, raw_filter(format)?]);
    }
    elements.push(own("densepose-overlay", overlay)?);
    Ok(elements)
}

/// Lets raw video of one format pass.
pub fn raw_filter(format: &str) -> Result<gst::Element, Failure> {
    let filter = make("capsfilter")?;
    set(&filter, "caps", &format!("video/x-raw,format={format}"))?;
    Ok(filter)
}

/// `densepose-export` into a file; its form follows from the name.
pub fn export(path: &Path, arguments: &Arguments) -> Result<gst::Element, Failure> {
    let form = match extension(path).as_deref() {
        Some("jsonl") => "jsonl",
        Some("json") => "coco",
        Some("pt" | "pkl") => "detectron2",
        Some("npz") => "npz",
        _ => {
            let cause = format!("what form of data is '{}' to have?", path.display());
            return Err(Failure::usage(cause).remedy("Name it .jsonl, .json (COCO), .pt (detectron2) or .npz (NumPy)."));
        }
    };
    if path.exists() && !arguments.force {
        let cause = format!("'{}' is there already", path.display());
        return Err(Failure::new(Kind::Exists, cause).remedy("Choose another name, or replace it by --force."));
    }
    make_folder(path.parent())?;
    let element = own("densepose-export", &arguments.export)?;
    set(&element, "format", form)?;
    set(&element, "existing", if arguments.force { "overwrite" } else { "keep" })?;
    let name = path.to_str().ok_or_else(|| Failure::usage(format!("'{}' is not UTF-8", path.display())))?;
    // A sign of percent begins a number in the element's pattern.
    set(&element, "location", &name.replace('%', "%%"))?;
    Ok(element)
}
