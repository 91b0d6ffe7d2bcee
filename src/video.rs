//! GStreamer's video frames as [`Image`]s: the one place where caps turn into components.

use gst_video::prelude::*;
use gst_video::{VideoColorRange, VideoCropMeta, VideoFormat, VideoFrameRef, VideoInfo};

use crate::image::{Color, ColorModel, Component, Depth, Image, ImageError, ImageMut, Layout, Plane, PlaneMut};
use crate::passthrough;

/// The pixel formats that both elements take, those that need no conversion most often first.
pub const FORMATS: [VideoFormat; 34] = [
    VideoFormat::I420,
    VideoFormat::Nv12,
    VideoFormat::Yuy2,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Rgba,
    VideoFormat::Bgra,
    VideoFormat::Rgbx,
    VideoFormat::Bgrx,
    VideoFormat::Argb,
    VideoFormat::Abgr,
    VideoFormat::Xrgb,
    VideoFormat::Xbgr,
    VideoFormat::Yv12,
    VideoFormat::Nv21,
    VideoFormat::Uyvy,
    VideoFormat::Gray8,
    VideoFormat::P01010le,
    VideoFormat::I42010le,
    VideoFormat::I42210le,
    VideoFormat::Y44410le,
    VideoFormat::Y42b,
    VideoFormat::Y444,
    VideoFormat::Y41b,
    VideoFormat::Nv16,
    VideoFormat::Nv61,
    VideoFormat::Nv24,
    VideoFormat::Yvyu,
    VideoFormat::Vyuy,
    VideoFormat::Ayuv,
    VideoFormat::Vuya,
    VideoFormat::A420,
    VideoFormat::Gbr,
    VideoFormat::Gbra,
];

/// Caps of both elements' pads.
pub fn caps() -> gst::Caps {
    gst_video::VideoCapsBuilder::new().format_list(FORMATS).build()
}

/// Both elements have one always-there pad on each side.
pub fn pad_templates() -> Vec<gst::PadTemplate> {
    passthrough::pad_templates(&caps())
}

/// Size, components, colours and shape of pixels that caps describe.
pub fn layout(info: &VideoInfo) -> Layout {
    let format = info.format_info();
    let model = if info.is_gray() {
        ColorModel::Gray
    } else if info.is_rgb() {
        ColorModel::Rgb
    } else {
        luma_weights(info)
    };
    let full_range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => true,
        VideoColorRange::Range16_235 => false,
        _ => model == ColorModel::Rgb,
    };
    let color = Color { model, full_range };
    let component = |c: usize| Component {
        plane: format.plane()[c] as usize,
        offset: match (format.format(), c) {
            // GStreamer's table, as of 1.22, has the place of P010's V in samples, and VYUY's U and V in each other's.
            (VideoFormat::P01010le, 2) | (VideoFormat::Vyuy, 1) => 2,
            (VideoFormat::Vyuy, 2) => 0,
            _ => format.poffset()[c] as usize,
        },
        step: format.pixel_stride()[c].unsigned_abs() as usize,
        shift_x: format.w_sub()[c],
        shift_y: format.h_sub()[c],
    };
    let components: Vec<_> = (0..color.components()).map(component).collect();
    Layout {
        // Words are little-endian in all FORMATS, and all samples of a picture alike.
        depth: Depth::word(format.depth()[0], format.shift()[0]).unwrap_or(Depth::BYTE),
        alpha: format.has_alpha().then(|| component(3)),
        pixel_aspect: pixel_aspect(info),
        ..Layout::new(info.width() as usize, info.height() as usize, color, components)
    }
}

/// Width of a pixel divided by its height, as caps say; 1 where they say nothing of use.
pub fn pixel_aspect(info: &VideoInfo) -> f64 {
    let par = info.par();
    if par.numer() > 0 && par.denom() > 0 { f64::from(par.numer()) / f64::from(par.denom()) } else { 1.0 }
}

/// A part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// The part of a buffer's frame that is shown, where it carries a GstVideoCropMeta: the rest counts as absent.
pub fn crop(buffer: &gst::BufferRef) -> Option<Crop> {
    let (x, y, width, height) = buffer.meta::<VideoCropMeta>()?.rect();
    Some(Crop { x, y, width, height })
}

/// What of a mapped frame is shown.
fn shown_layout(frame: &impl VideoFrameExt) -> Result<Layout, ImageError> {
    let layout = layout(frame.info());
    let Some(Crop { x, y, width, height }) = crop(frame.buffer()) else { return Ok(layout) };
    let strides: Vec<_> = frame.info().stride().iter().map(|&s| usize::try_from(s).unwrap_or(0)).collect();
    layout.cropped((x as usize, y as usize), (width as usize, height as usize), &strides)
}

/// Luma weights by the caps' matrix; unknown ones as GStreamer guesses, by the height.
fn luma_weights(info: &VideoInfo) -> ColorModel {
    let by_height = if info.height() > 576 { (0.2126, 0.0722) } else { (0.299, 0.114) };
    let (kr, kb) = info.colorimetry().matrix().kr_kb().unwrap_or(by_height);
    let (kr, kb) = (kr as f32, kb as f32);
    ColorModel::Yuv { kr, kb }
}

/// Start and length of the mapped bytes of each plane, and its stride. No two overlap.
///
/// `gst_video`'s own accessor takes a plane to be stride times height, which reaches past the end of padded and
/// cropped buffers; here a plane ends where its mapping or the next plane does.
fn planes(frame: &impl VideoFrameExt) -> Vec<(*mut u8, usize, usize)> {
    // SAFETY: the frame is mapped for as long as the reference lives.
    let raw = unsafe { &*frame.as_ptr() };
    let count = frame.info().n_planes() as usize;
    let start = |p: usize| raw.data[p] as usize;
    (0..count)
        .map(|p| {
            // Without a video meta the whole buffer is one mapping.
            let map = &raw.map[if raw.meta.is_null() { 0 } else { p }];
            let map_end = (map.data as usize).saturating_add(map.size);
            let end = (0..count).filter(|&q| q != p).map(start).filter(|&s| s > start(p)).fold(map_end, usize::min);
            let shared = (0..p).any(|q| start(q) == start(p));
            let length = if shared || start(p) < map.data as usize { 0 } else { end.saturating_sub(start(p)) };
            (raw.data[p].cast(), length, usize::try_from(frame.info().stride()[p]).unwrap_or(0))
        })
        .collect()
}

/// What is shown of the mapped frame, as a picture to read.
///
/// # Errors
/// Where the buffer is too small for what its caps and its video meta say, or its crop reaches out of the frame.
pub fn image<'a>(frame: &'a VideoFrameRef<&gst::BufferRef>) -> Result<Image<'a>, ImageError> {
    let planes = planes(frame)
        .into_iter()
        // SAFETY: `planes` bounds each plane by its mapping, which is readable while `frame` is borrowed.
        .map(|(data, len, stride)| Plane { data: unsafe { slice_or_empty(data, len) }, stride })
        .collect();
    Image::new(shown_layout(frame)?, planes)
}

/// What is shown of the mapped frame, as a picture to draw on.
///
/// # Errors
/// Where the buffer is too small for what its caps and its video meta say, or its crop reaches out of the frame.
pub fn image_mut<'a>(frame: &'a mut VideoFrameRef<&mut gst::BufferRef>) -> Result<ImageMut<'a>, ImageError> {
    let layout = shown_layout(frame)?;
    let planes = planes(frame)
        .into_iter()
        .map(|(data, len, stride)| {
            let data: &'a mut [u8] = if data.is_null() || len == 0 {
                &mut []
            } else {
                // SAFETY: `planes` bounds each plane by its mapping and by its neighbours, so that the slices are
                // writable while `frame` is borrowed and no two of them overlap.
                unsafe { std::slice::from_raw_parts_mut(data, len) }
            };
            PlaneMut { data, stride }
        })
        .collect();
    ImageMut::new(layout, planes)
}

/// # Safety
/// Unless null, `data` must be readable for `len` bytes for as long as `'a`.
unsafe fn slice_or_empty<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: as the caller vouches.
    unsafe { std::slice::from_raw_parts(data, len) }
}
