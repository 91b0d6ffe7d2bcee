//! `GstDensePoseMeta`: the people of a frame, attached to its buffer.
//!
//! It is a [`GstCustomMeta`](https://gstreamer.freedesktop.org/documentation/gstreamer/gstmeta.html), so that any
//! language with GStreamer bindings reads it without a module of ours. Its structure, version 1:
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `version` | uint | 1; a reader skips versions it does not know |
//! | `width`, `height` | uint | size in pixels of the frame that the boxes refer to |
//! | `age` | uint | frames since the inference that found these people; 0 = found in this very frame |
//! | `moved` | boolean | true: boxes and maps were moved with the picture since then; absent where they are as they were found |
//! | `persons` | array of structures | one per person, best score first |
//!
//! and of each person (structure name `person`):
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `id` | uint | the same for the same person from frame to frame, for as long as they are followed |
//! | `score` | double | confidence that this is a person, 0 to 1 |
//! | `x`, `y` | int | top left corner of the box, in pixels; with the model's margin around what was detected |
//! | `w`, `h` | uint | size of the box, in pixels |
//! | `iuv` | GstBuffer | `h * w * 3` bytes, rows top to bottom: body part I (0 background, 1 to 24), U and V times 255 |
//!
//! Elements that scale the video (`videoscale`, `videoconvertscale`) rescale the boxes and the maps with it; those
//! that copy or encode it keep them. Where the shape of the picture changes (its width over its height as displayed),
//! the meta is dropped: the element may have added borders or stretched the picture, and does not say which. Elements
//! that crop or flip drop the meta before GStreamer 1.28 and move it with the picture from then on.
//!
//! For consumers that know nothing of DensePose, [`attach`] adds one `GstVideoRegionOfInterestMeta` of type
//! `person` per person, `id` being the person's, with a parameter structure `densepose` (`score`: double). With the
//! cargo features `v1_24` and `v1_26` it adds standard analytics metas, too.
//!
//! GStreamer itself rescales regions of interest, always as if the picture filled the new frame: where borders were
//! added the boxes reach over them and miss people. A frame with regions but without this meta has such boxes; do not
//! hide anything by them.

use std::sync::Once;

use glib::translate::*;
use gst::prelude::*;
use gst_video::VideoRegionOfInterestMeta;

use crate::person::{IuvMap, Person, Persons};

/// Name of the meta, of its API type and of its structure.
pub const NAME: &str = "GstDensePoseMeta";
/// Version of the layout that this crate writes and reads.
pub const VERSION: u32 = 1;
/// Type of the region of interest metas beside it.
pub const ROI_TYPE: &str = "person";
/// Parameter structure by which our regions of interest are told from others'.
const ROI_PARAMETERS: &str = "densepose";

impl Persons {
    /// The same people in a frame scaled to `width` by `height`; boxes grow or shrink, labels are repeated or left
    /// out, never mixed.
    pub fn scaled(&self, width: u32, height: u32) -> Self {
        let full = |w, h| Rectangle { x: 0.0, y: 0.0, w: f64::from(w), h: f64::from(h) };
        let map = Mapping::between(full(self.width.max(1), self.height.max(1)), full(width, height));
        self.mapped(&map, width, height)
    }

    /// The same people in a frame of `width` by `height`, if it has the shape of the one that they were found in; `None`
    /// where the picture may have borders now, or may have been stretched.
    pub fn fitted(self, width: u32, height: u32) -> Option<Self> {
        let found = (self.width, self.height);
        if found == (width, height) {
            return Some(self);
        }
        fits(found, (width, height)).then(|| self.scaled(width, height))
    }

    fn mapped(&self, map: &Mapping, width: u32, height: u32) -> Self {
        let persons = self.persons.iter().filter_map(|p| map.person(p, width, height)).collect();
        Self { width, height, age: self.age, moved: self.moved, persons }
    }

    /// The structure that [`attach_structure`] puts on buffers.
    pub fn to_structure(&self) -> gst::Structure {
        self.clone().into_structure()
    }

    /// The same, with the maps as they are instead of copies.
    pub fn into_structure(self) -> gst::Structure {
        let persons = self.persons.into_iter().map(|p| {
            gst::Structure::builder("person")
                .field("id", p.id)
                .field("score", f64::from(p.score))
                .field("x", p.x)
                .field("y", p.y)
                .field("w", p.width() as u32)
                .field("h", p.height() as u32)
                .field("iuv", gst::Buffer::from_slice(p.iuv.into_data()))
                .build()
                .to_send_value()
        });
        gst::Structure::builder(NAME)
            .field("version", VERSION)
            .field("width", self.width)
            .field("height", self.height)
            .field("age", self.age)
            .field_if("moved", true, self.moved)
            .field("persons", gst::Array::from_values(persons))
            .build()
    }

    /// Reads a structure as [`Persons::to_structure`] writes it; a person whose fields make no sense is left out.
    /// `None` where the version is another or a frame field is missing.
    pub fn from_structure(structure: &gst::StructureRef) -> Option<Self> {
        if structure.get::<u32>("version") != Ok(VERSION) {
            return None;
        }
        let number = |field| structure.get::<u32>(field).ok();
        let persons = structure.get::<gst::ArrayRef>("persons").ok()?;
        Some(Self {
            width: number("width")?,
            height: number("height")?,
            age: number("age")?,
            moved: structure.get("moved").unwrap_or(false),
            persons: persons.iter().filter_map(|v| read_person(v.get::<&gst::StructureRef>().ok()?)).collect(),
        })
    }
}

fn read_person(s: &gst::StructureRef) -> Option<Person> {
    let size = |field| s.get::<u32>(field).ok().map(|n| n as usize);
    let iuv = s.get::<gst::Buffer>("iuv").ok()?;
    let bytes = iuv.map_readable().ok()?.to_vec();
    Some(Person {
        id: s.get("id").ok()?,
        score: s.get::<f64>("score").ok()? as f32,
        x: s.get("x").ok()?,
        y: s.get("y").ok()?,
        iuv: IuvMap::new(size("w")?, size("h")?, bytes).ok()?,
    })
}

/// Makes the meta known to GStreamer. [`attach`] and [`read`] do so by themselves.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if gst::meta::CustomMeta::is_registered(NAME) {
            return;
        }
        let name = std::ffi::CString::new(NAME).unwrap_or_default();
        // The tags say that the content depends on the video's size: elements that do not know how to keep it up to
        // date then drop the meta instead of letting it go stale.
        let mut tags = [c"video".as_ptr(), c"size".as_ptr(), c"orientation".as_ptr(), std::ptr::null()];
        // SAFETY: the strings are valid and null-terminated, GStreamer copies them; the transform function is of the
        // type that it takes, uses no user data and lives as long as the program.
        unsafe {
            gst::ffi::gst_meta_register_custom(
                name.as_ptr(),
                tags.as_mut_ptr(),
                Some(transform),
                std::ptr::null_mut(),
                None,
            );
        }
    });
}

/// Attaches people to a buffer, in place of those that it may carry already.
pub fn attach(buffer: &mut gst::BufferRef, persons: &Persons) {
    attach_structure(buffer, &persons.to_structure());
}

/// Attaches a structure made by [`Persons::to_structure`]: with frames that share a result, the maps are shared, too.
pub fn attach_structure(buffer: &mut gst::BufferRef, structure: &gst::StructureRef) {
    // First, because what lies on the buffer tells which analytics metas are ours.
    #[cfg(feature = "v1_24")]
    crate::analytics::replace(buffer, structure);
    remove_metas(buffer);
    write(buffer, structure);
    let Ok(persons) = structure.get::<gst::ArrayRef>("persons") else { return };
    for person in persons.iter().filter_map(|v| v.get::<&gst::StructureRef>().ok()) {
        add_region_of_interest(buffer, person);
    }
}

fn write(buffer: &mut gst::BufferRef, structure: &gst::StructureRef) {
    register();
    match gst::meta::CustomMeta::add(buffer, NAME) {
        Ok(mut meta) => {
            let target = meta.mut_structure();
            for (field, value) in structure.iter() {
                target.set_value(field, value.clone());
            }
        }
        Err(e) => gst::warning!(gst::CAT_RUST, "cannot attach {NAME}: {e}"),
    }
}

fn add_region_of_interest(buffer: &mut gst::BufferRef, person: &gst::StructureRef) -> Option<()> {
    let int = |field| person.get::<i32>(field).ok();
    let uint = |field| person.get::<u32>(field).ok();
    let (x, y) = (int("x")?, int("y")?);
    // A region of interest cannot start outside the frame.
    let cut = |start: i32, length: u32| length.saturating_sub(start.min(0).unsigned_abs());
    let rect = (x.max(0) as u32, y.max(0) as u32, cut(x, uint("w")?), cut(y, uint("h")?));
    let mut roi = VideoRegionOfInterestMeta::add(buffer, ROI_TYPE, rect);
    roi.set_id(i32::try_from(uint("id")?).unwrap_or(i32::MAX));
    let score = person.get::<f64>("score").ok()?;
    roi.add_param(gst::Structure::builder(ROI_PARAMETERS).field("score", score).build());
    Some(())
}

/// Takes our meta and what [`attach`] put beside it off a buffer.
pub fn remove(buffer: &mut gst::BufferRef) {
    #[cfg(feature = "v1_24")]
    crate::analytics::remove(buffer);
    remove_metas(buffer);
}

fn remove_metas(buffer: &mut gst::BufferRef) {
    use std::ops::ControlFlow::Continue;
    register();
    buffer.foreach_meta_mut(|mut meta| {
        let ours = match meta.downcast_ref::<VideoRegionOfInterestMeta>() {
            Some(roi) => roi.param(ROI_PARAMETERS).is_some(),
            None => meta.try_as_custom_meta().is_some_and(|m| m.structure().name() == NAME),
        };
        Continue(if ours {
            gst::buffer::BufferMetaForeachAction::Remove
        } else {
            gst::buffer::BufferMetaForeachAction::Keep
        })
    });
}

/// The people attached to a buffer; `None` if it carries none, or those of a version that this crate does not know.
pub fn read(buffer: &gst::BufferRef) -> Option<Persons> {
    register();
    Persons::from_structure(gst::meta::CustomMeta::from_buffer(buffer, NAME).ok()?.structure())
}

/// The people of what a frame shows, as they lie on its buffer: maps are not copied before [`Shown::read`].
pub struct Shown<'a> {
    meta: gst::MetaRef<'a, gst::meta::CustomMeta>,
    count: usize,
    age: u32,
    way: Way,
}

/// From the frame that people were found in to what is shown.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Their size becomes that of a frame of the same shape.
    Fitted(u32, u32),
    /// Only this part of the frame is shown.
    Moved(crate::video::Crop),
}

impl Shown<'_> {
    /// How many people there are, those included whose fields make no sense.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Frames since the inference that found them.
    pub fn age(&self) -> u32 {
        self.age
    }

    /// The people with copies of their maps, in pixels of what is shown.
    pub fn read(&self) -> Option<Persons> {
        let found = Persons::from_structure(self.meta.structure())?;
        match self.way {
            Way::Fitted(width, height) => found.fitted(width, height),
            Way::Moved(crop) => Some(found.moved_into(crop.x, crop.y, crop.width, crop.height)),
        }
    }
}

/// The people of what a frame of `width` by `height` pixels shows, which a GstVideoCropMeta may make less: boxes are in
/// pixels of what is shown. `None` where [`read`] finds none, and where the people were found in a frame of another
/// shape, see [`Persons::fitted`].
pub fn shown(buffer: &gst::BufferRef, (width, height): (u32, u32)) -> Option<Shown<'_>> {
    register();
    let meta = gst::meta::CustomMeta::from_buffer(buffer, NAME).ok()?;
    let structure = meta.structure();
    let number = |field| structure.get::<u32>(field).ok();
    if number("version") != Some(VERSION) {
        return None;
    }
    let found = (number("width")?, number("height")?);
    let age = number("age")?;
    let count = structure.get::<gst::ArrayRef>("persons").ok()?.len();
    // The caps tell the size of what is shown, this meta that of the frame in memory.
    let whole = buffer.meta::<gst_video::VideoMeta>().map_or((width, height), |meta| (meta.width(), meta.height()));
    let way = match crate::video::crop(buffer) {
        // Found before an element cropped the frame by metadata alone.
        Some(crop) if found == whole => Way::Moved(crop),
        Some(crop) => Way::Fitted(crop.width, crop.height),
        None => Way::Fitted(width, height),
    };
    if let Way::Fitted(width, height) = way
        && !fits(found, (width, height))
    {
        return None;
    }
    Some(Shown { meta, count, age, way })
}

/// [`shown`] with the maps.
pub fn read_shown(buffer: &gst::BufferRef, size: (u32, u32)) -> Option<Persons> {
    shown(buffer, size)?.read()
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rectangle {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// How points of a frame move when an element scales, crops, turns or mirrors it: `p' = m * p + o`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mapping {
    m: [[f64; 2]; 2],
    o: [f64; 2],
}

impl Mapping {
    /// From one rectangle to another.
    fn between(from: Rectangle, to: Rectangle) -> Self {
        let (sx, sy) = (to.w / from.w, to.h / from.h);
        Self { m: [[sx, 0.0], [0.0, sy]], o: [to.x - from.x * sx, to.y - from.y * sy] }
    }

    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        let [[a, b], [c, d]] = self.m;
        (a * x + b * y + self.o[0], c * x + d * y + self.o[1])
    }

    /// The inverse; `None` where the mapping flattens the picture.
    fn inverse(&self) -> Option<Self> {
        let [[a, b], [c, d]] = self.m;
        let det = a * d - b * c;
        if !det.is_normal() {
            return None;
        }
        let m = [[d / det, -b / det], [-c / det, a / det]];
        let [ox, oy] = self.o;
        Some(Self { m, o: [-(m[0][0] * ox + m[0][1] * oy), -(m[1][0] * ox + m[1][1] * oy)] })
    }

    /// The person's box and map in the new frame of `width` by `height`; `None` where nothing of the box is in it.
    fn person(&self, person: &Person, width: u32, height: u32) -> Option<Person> {
        let (x, y) = (f64::from(person.x), f64::from(person.y));
        let (w, h) = (person.width() as f64, person.height() as f64);
        let (ax, ay) = self.point(x, y);
        let (bx, by) = self.point(x + w, y + h);
        let side = |p: f64, q: f64, limit: u32| {
            let low = p.min(q).round();
            let high = p.max(q).round().max(low + 1.0);
            // The box is cut to the frame, so that its size stays in proportion to it.
            let (low, high) = (low.max(0.0), high.min(f64::from(limit)));
            (high > low).then_some((low as i32, (high - low) as usize))
        };
        let (left, new_w) = side(ax, bx, width)?;
        let (top, new_h) = side(ay, by, height)?;
        let back = self.inverse()?;
        let mut data = Vec::with_capacity(new_w * new_h * 3);
        for row in 0..new_h {
            for column in 0..new_w {
                let (u, v) = back.point(f64::from(left) + column as f64 + 0.5, f64::from(top) + row as f64 + 0.5);
                let (u, v) = ((u - x).floor(), (v - y).floor());
                let pixel = match (0.0..w).contains(&u) && (0.0..h).contains(&v) {
                    true => person.iuv.pixel(u as usize, v as usize),
                    false => [0; 3],
                };
                data.extend_from_slice(&pixel);
            }
        }
        let iuv = IuvMap::new(new_w, new_h, data).ok()?;
        Some(Person { x: left, y: top, iuv, ..person.clone() })
    }
}

/// GStreamer 1.28's `GstVideoMetaTransformMatrix`, so that a build for 1.22 follows crops and flips there.
#[repr(C)]
struct TransformMatrix {
    in_info: *const gst_video::ffi::GstVideoInfo,
    in_rectangle: gst_video::ffi::GstVideoRectangle,
    out_info: *const gst_video::ffi::GstVideoInfo,
    out_rectangle: gst_video::ffi::GstVideoRectangle,
    matrix: [f32; 9],
}

/// Called by GStreamer when an element copies the metas of one buffer to another.
unsafe extern "C" fn transform(
    target: *mut gst::ffi::GstBuffer,
    meta: *mut gst::ffi::GstCustomMeta,
    _source: *mut gst::ffi::GstBuffer,
    kind: glib::ffi::GQuark,
    data: glib::ffi::gpointer,
    _user_data: glib::ffi::gpointer,
) -> glib::ffi::gboolean {
    // SAFETY: GStreamer calls with a writable target and a meta of ours, and each kind comes with its own data.
    let done = unsafe {
        let target = gst::BufferRef::from_mut_ptr(target);
        let structure = gst::ffi::gst_custom_meta_get_structure(meta);
        let structure = gst::StructureRef::from_glib_borrow(structure);
        let kind = glib::Quark::from_glib(kind);
        match kind.as_str().as_str() {
            "gst-copy" => {
                let copy = &*data.cast::<gst::ffi::GstMetaTransformCopy>();
                // A part of the buffer is not the frame any more.
                if copy.region == glib::ffi::GFALSE {
                    write(target, structure);
                }
                true
            }
            "gst-video-scale" => {
                let scale = &*data.cast::<gst_video::ffi::GstVideoMetaTransform>();
                let (from, to) = (&*scale.in_info, &*scale.out_info);
                // A meta that came along unscaled before keeps its own proportions.
                if !same_shape(from, to) {
                    false
                } else if (from.width, from.height) == (to.width, to.height) {
                    write(target, structure);
                    true
                } else {
                    follow(target, structure, |p| Some(p.scaled(size(to.width), size(to.height))))
                }
            }
            "gst-video-matrix" => {
                let matrix = &*data.cast::<TransformMatrix>();
                follow(target, structure, |p| {
                    let to = &*matrix.out_info;
                    let map = matrix_mapping(matrix)?;
                    Some(p.mapped(&map, size(to.width), size(to.height)))
                })
            }
            _ => false,
        }
    };
    done.into_glib()
}

/// Borders of so few pixels, left and right or top and bottom together, come of rounding.
const ROUNDING: f64 = 2.0;

/// Whether a frame of one kind fills a frame of another kind without borders, as displayed. If not, an element may
/// have added borders or stretched the picture, and nobody says which.
fn same_shape(from: &gst_video::ffi::GstVideoInfo, to: &gst_video::ffi::GstVideoInfo) -> bool {
    let aspect = |info: &gst_video::ffi::GstVideoInfo| f64::from(info.par_n.max(1)) / f64::from(info.par_d.max(1));
    let display = |info: &gst_video::ffi::GstVideoInfo| {
        (f64::from(size(info.width)) * aspect(info), f64::from(size(info.height)))
    };
    fills(display(from), display(to), aspect(to))
}

/// Whether a picture of a size fills a frame of another size but for [`ROUNDING`]; widths are `aspect` per pixel.
fn fills(from: (f64, f64), to: (f64, f64), aspect: f64) -> bool {
    if [from.0, from.1, to.0, to.1].contains(&0.0) {
        return false;
    }
    let scale = (to.0 / from.0).min(to.1 / from.1);
    (to.0 - from.0 * scale) / aspect < ROUNDING && to.1 - from.1 * scale < ROUNDING
}

/// Whether what was found in a frame of one size can be scaled to a frame of another, with square pixels in both.
fn fits(found: (u32, u32), frame: (u32, u32)) -> bool {
    let display = |(w, h): (u32, u32)| (f64::from(w), f64::from(h));
    found == frame || fills(display(found), display(frame), 1.0)
}

fn size(pixels: i32) -> u32 {
    pixels.max(0) as u32
}

fn follow(
    target: &mut gst::BufferRef,
    structure: &gst::StructureRef,
    moved: impl FnOnce(&Persons) -> Option<Persons>,
) -> bool {
    let Some(persons) = Persons::from_structure(structure).and_then(|p| moved(&p)) else { return false };
    write(target, &persons.to_structure());
    true
}

/// The affine part of GStreamer's 3x3 row-major matrix, which maps points relative to the corner of the input's
/// rectangle to points relative to the corner of the output's.
fn matrix_mapping(t: &TransformMatrix) -> Option<Mapping> {
    let m = t.matrix.map(f64::from);
    if m.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let linear = Mapping { m: [[m[0], m[1]], [m[3], m[4]]], o: [m[2], m[5]] };
    let (from, to) = (&t.in_rectangle, &t.out_rectangle);
    let (x, y) = linear.point(-f64::from(from.x), -f64::from(from.y));
    Some(Mapping { o: [x + f64::from(to.x), y + f64::from(to.y)], ..linear })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persons() -> Persons {
        let iuv = IuvMap::new(2, 1, vec![3, 10, 20, 9, 200, 100]).unwrap();
        let person = Person { id: 7, score: 0.75, x: 10, y: 20, iuv };
        Persons { width: 100, height: 50, age: 2, moved: false, persons: vec![person] }
    }

    fn buffer() -> gst::Buffer {
        gst::init().unwrap();
        gst::Buffer::new()
    }

    #[test]
    fn what_is_attached_is_read() {
        let mut buffer = buffer();
        assert_eq!(read(&buffer), None);
        let b = buffer.get_mut().unwrap();
        attach(b, &persons());
        assert_eq!(read(b), Some(persons()));
        let roi = b.meta::<VideoRegionOfInterestMeta>().unwrap();
        assert_eq!((roi.rect(), roi.id(), roi.roi_type()), ((10, 20, 2, 1), 7, ROI_TYPE));
        assert_eq!(roi.param("densepose").unwrap().get::<f64>("score"), Ok(0.75));
    }

    #[test]
    fn attaching_again_replaces() {
        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        VideoRegionOfInterestMeta::add(b, "face", (1, 2, 3, 4));
        attach(b, &persons());
        attach(b, &Persons { persons: vec![], ..persons() });
        assert_eq!(read(b).unwrap().persons, vec![]);
        let types: Vec<_> = b.iter_meta::<VideoRegionOfInterestMeta>().map(|r| r.roi_type().to_string()).collect();
        assert_eq!(types, ["face"], "regions of interest of others stay");
        assert_eq!(b.iter_meta::<gst::Meta>().count(), 2);
    }

    #[test]
    fn a_copied_buffer_keeps_it_and_a_part_loses_it() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::from_slice([0u8; 8]);
        attach(buffer.get_mut().unwrap(), &persons());
        assert_eq!(read(&buffer.copy()), Some(persons()));
        let part = buffer.copy_region(gst::BufferCopyFlags::META | gst::BufferCopyFlags::MEMORY, 0..4).unwrap();
        assert_eq!(read(&part), None);
    }

    #[test]
    fn scaling_moves_boxes_and_repeats_labels() {
        let scaled = persons().scaled(200, 200);
        let p = &scaled.persons[0];
        assert_eq!((scaled.width, scaled.height, scaled.age), (200, 200, 2));
        assert_eq!((p.x, p.y, p.width(), p.height(), p.id), (20, 80, 4, 4, 7));
        assert_eq!(p.iuv, persons().persons[0].iuv.resized(4, 4));
        let tiny = persons().scaled(10, 5).persons[0].clone();
        assert_eq!((tiny.x, tiny.y, tiny.width(), tiny.height()), (1, 2, 1, 1), "never to nothing");
    }

    #[test]
    fn a_frame_of_another_shape_is_not_known_to_be_a_plain_scale() {
        let info = |width, height, par: (i32, i32)| {
            gst::init().unwrap();
            let info =
                gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, width, height).par(par).build().unwrap();
            // SAFETY: a plain structure of numbers and pointers to static tables.
            unsafe { *info.to_glib_none().0 }
        };
        let same = |a: (u32, u32, (i32, i32)), b: (u32, u32, (i32, i32))| {
            same_shape(&info(a.0, a.1, a.2), &info(b.0, b.1, b.2))
        };
        let square = (1, 1);
        assert!(same((1280, 720, square), (640, 360, square)));
        assert!(same((854, 480, square), (427, 240, square)));
        assert!(same((1280, 720, square), (455, 256, square)), "rounded");
        assert!(same((720, 576, (16, 15)), (768, 576, square)), "pixels made square");
        assert!(same((100, 50, square), (200, 25, (1, 4))), "the pixels' shape makes up for it");
        assert!(!same((1280, 720, square), (640, 480, square)));
        assert!(!same((720, 1280, square), (1280, 720, square)));
        assert!(!same((1280, 720, square), (1280, 720, (2, 1))), "borders or not, of the same size");
    }

    #[test]
    fn people_fit_frames_of_their_own_shape() {
        assert_eq!(persons().fitted(100, 50), Some(persons()));
        assert_eq!(persons().fitted(200, 100), Some(persons().scaled(200, 100)));
        assert_eq!(persons().fitted(200, 200), None);
        assert_eq!(Persons { width: 0, ..persons() }.fitted(200, 100), None);
    }

    #[test]
    fn a_matrix_crops_flips_and_moves() {
        let rect = |x, y, w, h| gst_video::ffi::GstVideoRectangle { x, y, w, h };
        let transform = |matrix, from, to| TransformMatrix {
            in_info: std::ptr::null(),
            in_rectangle: from,
            out_info: std::ptr::null(),
            out_rectangle: to,
            matrix,
        };
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        // Cut away 11 columns and 5 rows: the left half of the person's box is gone.
        let crop = matrix_mapping(&transform(identity, rect(11, 5, 50, 40), rect(0, 0, 50, 40))).unwrap();
        let cropped = &persons().mapped(&crop, 50, 40).persons[0];
        assert_eq!((cropped.x, cropped.y, cropped.width(), cropped.height()), (0, 15, 1, 1));
        assert_eq!(cropped.iuv.pixel(0, 0), [9, 200, 100]);
        let mirror = [-1.0, 0.0, 100.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let mirror = matrix_mapping(&transform(mirror, rect(0, 0, 100, 50), rect(0, 0, 100, 50))).unwrap();
        let mirrored = &persons().mapped(&mirror, 100, 50).persons[0];
        assert_eq!((mirrored.x, mirrored.y), (88, 20));
        assert_eq!([0, 1].map(|x| mirrored.iuv.pixel(x, 0)[0]), [9, 3]);
        let away = matrix_mapping(&transform(identity, rect(60, 0, 40, 50), rect(0, 0, 40, 50))).unwrap();
        assert_eq!(persons().mapped(&away, 40, 50).persons, vec![]);
        assert_eq!(matrix_mapping(&transform([f32::NAN; 9], rect(0, 0, 1, 1), rect(0, 0, 1, 1))), None);
    }

    #[test]
    fn nonsense_is_not_read() {
        gst::init().unwrap();
        let mut s = persons().to_structure();
        s.set("version", 2u32);
        assert_eq!(Persons::from_structure(&s), None);
        let liar = gst::Structure::builder("person")
            .field("id", 1u32)
            .field("score", 0.5f64)
            .field("x", 0i32)
            .field("y", 0i32)
            .field("w", u32::MAX)
            .field("h", u32::MAX)
            .field("iuv", gst::Buffer::from_slice([0u8; 3]))
            .build();
        let mut s = persons().to_structure();
        s.set("persons", gst::Array::new([liar]));
        assert_eq!(Persons::from_structure(&s).unwrap().persons, vec![]);
        s.remove_field("persons");
        assert_eq!(Persons::from_structure(&s), None);
    }
}
