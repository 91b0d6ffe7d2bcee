//! Where video and sound come from.

use std::path::Path;

use gst::prelude::*;

use crate::elements::{chain, described, make, set, with};
use crate::input::Input;
use crate::outcome::Failure;

/// An element whose pads come with the video and the sound, and whether it is live.
pub fn source(input: &Input) -> Result<(gst::Element, bool), Failure> {
    match input {
        Input::Video(path) | Input::Photo(path) | Input::Folder(path) => Ok((from_uri(&uri(path)?)?, false)),
        Input::Address(address) => Ok((from_uri(address)?, address.starts_with("rtsp"))),
        Input::Camera(device) => Ok((bin(camera(device)?)?, true)),
        Input::Pipeline(elements) => Ok((bin(vec![described(&format!("{elements} ! identity"))?])?, false)),
    }
}

/// Lets `decodebin` read the orientation of photos: before GStreamer 1.24 it passes by the parser that does.
pub fn mind_orientation() {
    match gst::ElementFactory::find("jpegparse") {
        Some(parser) => parser.set_rank(gst::Rank::PRIMARY + 10),
        None => eprintln!("Photos that lie on their side stay so: {}", Failure::missing("jpegparse")),
    }
}

fn uri(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|e| Failure::failed(format!("'{}': {e}", path.display())))?;
    let uri = gst::glib::filename_to_uri(absolute, None);
    uri.map(Into::into).map_err(|e| Failure::failed(format!("'{}': {e}", path.display())))
}

fn from_uri(uri: &str) -> Result<gst::Element, Failure> {
    let source = make("uridecodebin")?;
    source.set_property("uri", uri);
    Ok(source)
}

fn camera(device: &Path) -> Result<Vec<gst::Element>, Failure> {
    let name = device.to_str().ok_or_else(|| Failure::usage(format!("'{}' is not UTF-8", device.display())))?;
    let filter = make("capsfilter")?;
    // Enough for the network, and cameras give more pictures a second of such sizes.
    let sizes = "width=[1,1920],height=[1,1080]";
    set(&filter, "caps", &format!("video/x-raw,{sizes};image/jpeg,{sizes};video/x-raw;image/jpeg"))?;
    Ok(vec![with("v4l2src", &[("device", name)])?, filter])
}

/// Elements with a `decodebin` behind, whose pads are those of the bin.
fn bin(mut elements: Vec<gst::Element>) -> Result<gst::Element, Failure> {
    let (bin, decoder) = (gst::Bin::new(), make("decodebin")?);
    elements.push(decoder.clone());
    chain(&bin, &elements)?;
    let weak = bin.downgrade();
    decoder.connect_pad_added(move |_, pad| {
        if let (Some(bin), Ok(ghost)) = (weak.upgrade(), gst::GhostPad::with_target(pad)) {
            let _ = ghost.set_active(true);
            let _ = bin.add_pad(&ghost);
        }
    });
    let weak = bin.downgrade();
    decoder.connect_no_more_pads(move |_| weak.upgrade().iter().for_each(|bin| bin.no_more_pads()));
    Ok(bin.upcast())
}
