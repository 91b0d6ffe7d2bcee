//! Which Debian package brings what is missing.

/// Elements that this program makes by name, and the package of each.
const ELEMENTS: [(&str, &str); 29] = [
    ("aacparse", "gstreamer1.0-plugins-good"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("audioconvert", "gstreamer1.0-plugins-base"),
    ("audioresample", "gstreamer1.0-plugins-base"),
    ("autovideosink", "gstreamer1.0-plugins-good"),
    ("avenc_aac", "gstreamer1.0-libav"),
    ("avenc_mpeg4", "gstreamer1.0-libav"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("filesink", "libgstreamer1.0-0"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("jpegenc", "gstreamer1.0-plugins-good"),
    ("jpegparse", "gstreamer1.0-plugins-bad"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("mpegtsmux", "gstreamer1.0-plugins-bad"),
    ("openh264enc", "gstreamer1.0-plugins-bad"),
    ("opusenc", "gstreamer1.0-plugins-base"),
    ("pngenc", "gstreamer1.0-plugins-good"),
    ("qtmux", "gstreamer1.0-plugins-good"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("uridecodebin", "gstreamer1.0-plugins-base"),
    ("v4l2src", "gstreamer1.0-plugins-good"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("videocrop", "gstreamer1.0-plugins-good"),
    ("videoflip", "gstreamer1.0-plugins-good"),
    ("vp9enc", "gstreamer1.0-plugins-good"),
    ("webmmux", "gstreamer1.0-plugins-good"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
];

/// Media types whose decoders or demuxers are in a package of their own; all others are in the last two.
const TYPES: [(&str, &str); 9] = [
    ("x-h264", "gstreamer1.0-libav"),
    ("x-h265", "gstreamer1.0-libav"),
    ("audio/mpeg", "gstreamer1.0-libav"),
    ("quicktime", "gstreamer1.0-plugins-good"),
    ("matroska", "gstreamer1.0-plugins-good"),
    ("x-vp", "gstreamer1.0-plugins-good"),
    ("image/png", "gstreamer1.0-plugins-good"),
    ("image/jpeg", "gstreamer1.0-plugins-good"),
    ("x-av1", "gstreamer1.0-plugins-bad"),
];

/// What to do about an element that is missing.
pub fn of_element(element: &str) -> String {
    match ELEMENTS.iter().find(|(name, _)| *name == element) {
        Some((_, package)) => install(package),
        None => format!("Which package has it? On Debian: apt-file search {element}"),
    }
}

/// What to do about a decoder or demuxer that is missing, by a `missing-plugin` message's details.
pub fn of_details(details: &str) -> String {
    match TYPES.iter().find(|(part, _)| details.contains(part)) {
        Some((_, package)) => install(package),
        None => install("gstreamer1.0-libav gstreamer1.0-plugins-bad"),
    }
}

fn install(packages: &str) -> String {
    format!("Install it; on Debian and Ubuntu: apt-get install {packages}")
}
