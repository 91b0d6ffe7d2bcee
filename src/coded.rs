//! Coded video, H.264 and H.265: caps of the elements that work on it, and buffers with parts of them exchanged.

use gst::prelude::*;

use crate::passthrough;
use crate::sei::{Codec, Edit, Format, Framing};

const H264: &str = "video/x-h264";
const H265: &str = "video/x-h265";

/// Sink and source: whole access units, in every form that they are stored in.
pub fn pad_templates() -> Vec<gst::PadTemplate> {
    let caps = |name, formats: &[&str]| {
        gst::Caps::builder(name).field("stream-format", gst::List::new(formats)).field("alignment", "au").build()
    };
    let mut all = caps(H264, &["byte-stream", "avc", "avc3"]);
    all.merge(caps(H265, &["byte-stream", "hvc1", "hev1"]));
    passthrough::pad_templates(&all)
}

/// Whether caps are of H.264 or H.265 at all. Those that lack what [`format`] needs are taken, too, so that it can say
/// what is missing, which GStreamer's negotiation would not.
pub fn is_known(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|s| [H264, H265].contains(&s.name().as_str()))
}

/// What caps say of the access units; the error names cause and remedy.
pub fn format(caps: &gst::CapsRef) -> Result<Format, String> {
    let s = caps.structure(0).ok_or("empty caps")?;
    let (codec, parser) = match s.name().as_str() {
        H264 => (Codec::H264, "h264parse"),
        H265 => (Codec::H265, "h265parse"),
        name => return Err(format!("{name} is neither {H264} nor {H265}")),
    };
    if s.get::<&str>("alignment") != Ok("au") {
        return Err(format!(
            "the stream does not come in whole access units (alignment=au): put {parser} before this element"
        ));
    }
    let framing = match s.get::<&str>("stream-format") {
        Ok("byte-stream") => Framing::ByteStream,
        Ok("avc" | "avc3" | "hvc1" | "hev1") => {
            let record = s.get::<gst::Buffer>("codec_data").ok().and_then(|b| b.into_mapped_buffer_readable().ok());
            let record =
                record.ok_or_else(|| format!("the caps have no codec_data: put {parser} before this element"))?;
            Framing::from_configuration(codec, &record).map_err(|e| e.to_string())?
        }
        _ => return Err(format!("the caps name no known stream-format: put {parser} before this element")),
    };
    Ok(Format { codec, framing })
}

/// Whether an event tells of caps that the element cannot work on; says so before the base class finds that there are
/// no caps for the other pad and says no more than that.
pub fn refuses(element: &impl IsA<gst::Element>, event: &gst::Event) -> bool {
    let gst::EventView::Caps(caps) = event.view() else { return false };
    let problem = format(caps.caps()).err();
    if let Some(problem) = &problem {
        gst::element_error!(element, gst::StreamError::Format, ["{problem}"]);
    }
    problem.is_some()
}

/// A buffer with edits, in order; what stays is shared with the old one, and everything but the bytes is as it was.
pub fn edited(buffer: &gst::BufferRef, edits: Vec<Edit>) -> Result<gst::Buffer, gst::glib::BoolError> {
    use gst::BufferCopyFlags as Copy;
    let mut out = gst::Buffer::new();
    let target = out.make_mut();
    buffer.copy_into(target, Copy::FLAGS | Copy::TIMESTAMPS | Copy::META, ..)?;
    let mut position = 0;
    let keep = |target: &mut gst::BufferRef, range: std::ops::Range<usize>| match range.is_empty() {
        true => Ok(()),
        false => buffer.copy_into(target, Copy::MEMORY, range),
    };
    for edit in edits {
        keep(target, position..edit.at.start)?;
        if !edit.with.is_empty() {
            target.append_memory(gst::Memory::from_slice(edit.with));
        }
        position = edit.at.end;
    }
    keep(target, position..buffer.size())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta;
    use crate::person::Persons;

    #[test]
    fn an_edited_buffer_keeps_all_but_the_bytes() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::from_slice([1u8, 2, 3, 4, 5]);
        let b = buffer.make_mut();
        b.set_pts(gst::ClockTime::from_mseconds(7));
        b.set_dts(gst::ClockTime::from_mseconds(3));
        b.set_flags(gst::BufferFlags::DELTA_UNIT);
        meta::attach(b, &Persons { width: 3, ..Persons::default() });
        let edits =
            [Edit { at: 0..1, with: vec![] }, Edit { at: 2..2, with: vec![8, 9] }, Edit { at: 4..5, with: vec![7] }];
        let out = edited(&buffer, edits.to_vec()).unwrap();
        assert_eq!(out.map_readable().unwrap().as_slice(), [2, 8, 9, 3, 4, 7]);
        assert_eq!((out.pts(), out.dts()), (buffer.pts(), buffer.dts()));
        // Says that the memory is not the one that the buffer was made with.
        assert_eq!(out.flags() - gst::BufferFlags::TAG_MEMORY, buffer.flags());
        assert_eq!(meta::read(&out), meta::read(&buffer));
        assert_eq!(edited(&buffer, vec![]).unwrap().map_readable().unwrap().as_slice(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_missing_in_caps_is_named() {
        gst::init().unwrap();
        let error = |caps: &str| {
            let caps: gst::Caps = caps.parse().unwrap();
            assert!(is_known(&caps));
            format(&caps).unwrap_err()
        };
        assert!(error("video/x-h264, stream-format=byte-stream, alignment=nal").contains("h264parse"));
        assert!(error("video/x-h265, stream-format=byte-stream").contains("h265parse"));
        assert!(error("video/x-h264, alignment=au").contains("stream-format"));
        assert!(error("video/x-h264, stream-format=avc, alignment=au").contains("codec_data"));
        assert!(error("video/x-h264, stream-format=avc, alignment=au, codec_data=(buffer)0164").contains("damaged"));
        let caps: gst::Caps =
            "video/x-h264, stream-format=avc3, alignment=au, codec_data=(buffer)0164001fffe100".parse().unwrap();
        assert_eq!(format(&caps), Ok(Format { codec: Codec::H264, framing: Framing::Length(4) }));
    }
}
