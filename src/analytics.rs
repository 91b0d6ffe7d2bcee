//! The people of a frame as GstAnalytics metas, beside ours, for elements that know only those (features `v1_24`,
//! `v1_26`).
//!
//! Of each person: an object detection of type `person` (box and score), which relates to a tracking entry (the
//! person's id; first seen at this frame's time, as the meta does not say since when a person is followed) and, with
//! `v1_26`, contains a semantic segmentation: a GRAY8 mask of the box whose values, the region ids, are body parts.

use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsRelationMeta, RelTypes};

use crate::meta;

/// What is attached of a person, read from the structure that [`meta`] writes.
struct Item {
    id: u32,
    score: f64,
    x: i32,
    y: i32,
    w: u32,
    h: u32,
    #[cfg(feature = "v1_26")]
    iuv: gst::Buffer,
}

impl Item {
    /// `None` if fields are missing or the box is empty or larger than GstAnalytics can say.
    fn new(structure: &gst::StructureRef) -> Option<Self> {
        let size = |field| structure.get::<u32>(field).ok().filter(|&n| n > 0 && i32::try_from(n).is_ok());
        Some(Self {
            id: structure.get("id").ok()?,
            score: structure.get("score").ok()?,
            x: structure.get("x").ok()?,
            y: structure.get("y").ok()?,
            w: size("w")?,
            h: size("h")?,
            #[cfg(feature = "v1_26")]
            iuv: structure.get("iuv").ok()?,
        })
    }

    fn all(structure: &gst::StructureRef) -> Vec<Self> {
        let Ok(persons) = structure.get::<gst::ArrayRef>("persons") else { return Vec::new() };
        let values = persons.as_slice().iter();
        values.filter_map(|v| Self::new(v.get::<&gst::StructureRef>().ok()?)).collect()
    }
}

/// Puts the people of `structure` in the place of those whose meta the buffer carries.
pub(crate) fn replace(buffer: &mut gst::BufferRef, structure: &gst::StructureRef) {
    let items = Item::all(structure);
    if remove(buffer)
        && !items.is_empty()
        && let Err(e) = add(buffer, &items)
    {
        gst::warning!(gst::CAT_RUST, "cannot attach analytics metas: {e}");
    }
}

/// Takes off what belongs to the people whose meta the buffer still carries; whether nothing of them is left.
///
/// GstAnalytics keeps all results in one meta from which no single one can be taken: where others have put theirs
/// beside ours, everything stays.
pub(crate) fn remove(buffer: &mut gst::BufferRef) -> bool {
    let custom = gst::meta::CustomMeta::from_buffer(buffer, meta::NAME);
    let ours = custom.map_or(0, |m| Item::all(m.structure()).len() * ENTRIES);
    if ours == 0 {
        return true;
    }
    match buffer.meta_mut::<AnalyticsRelationMeta>() {
        None => true,
        Some(relation) if relation.len() == ours => relation.remove().is_ok(),
        Some(_) => false,
    }
}

/// Entries in the analytics meta that each person takes.
const ENTRIES: usize = if cfg!(feature = "v1_26") { 3 } else { 2 };

fn add(buffer: &mut gst::BufferRef, items: &[Item]) -> Result<(), glib::BoolError> {
    let now = buffer.pts().unwrap_or_default();
    let kind = glib::Quark::from_str(meta::ROI_TYPE);
    let mut relation = AnalyticsRelationMeta::add(buffer);
    for item in items {
        let (w, h) = (item.w as i32, item.h as i32);
        let person = relation.add_od_mtd(kind, item.x, item.y, w, h, item.score as f32)?.id();
        let track = relation.add_tracking_mtd(u64::from(item.id), now)?.id();
        relation.set_relation(RelTypes::RELATE_TO, person, track)?;
        #[cfg(feature = "v1_26")]
        {
            let parts = segmentation::add(&mut relation, item)?;
            relation.set_relation(RelTypes::CONTAIN, person, parts)?;
        }
    }
    Ok(())
}

#[cfg(feature = "v1_26")]
mod segmentation {
    use glib::translate::IntoGlibPtr;
    use gst_analytics::ffi;
    use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};

    use super::{AnalyticsRelationMeta, Item};

    /// Adds the body parts of a person; the id of the entry.
    pub fn add(relation: &mut AnalyticsRelationMeta, item: &Item) -> Result<u32, glib::BoolError> {
        let (mask, mut regions) = mask(item)?;
        let mut entry = std::mem::MaybeUninit::<ffi::GstAnalyticsSegmentationMtd>::uninit();
        // SAFETY: the meta is borrowed for writing; the mask is handed over, the region ids are copied; the entry is
        // written to wherever the call says true.
        unsafe {
            let added = ffi::gst_analytics_relation_meta_add_segmentation_mtd(
                relation.as_mut_ptr(),
                mask.into_glib_ptr(),
                ffi::GST_SEGMENTATION_TYPE_SEMANTIC,
                regions.len(),
                regions.as_mut_ptr(),
                item.x,
                item.y,
                item.w,
                item.h,
                entry.as_mut_ptr(),
            );
            match added {
                glib::ffi::GFALSE => Err(glib::bool_error!("no room for a segmentation")),
                _ => Ok(entry.assume_init().id),
            }
        }
    }

    /// The part of each pixel as a GRAY8 picture, and the parts that occur.
    fn mask(item: &Item) -> Result<(gst::Buffer, Vec<u32>), glib::BoolError> {
        let parts: Vec<u8> = item.iuv.map_readable()?.chunks_exact(3).map(|pixel| pixel[0]).collect();
        if parts.len() != item.w as usize * item.h as usize {
            return Err(glib::bool_error!("a person's map does not have the size of its box"));
        }
        let regions = (0..=u8::MAX).filter(|part| parts.contains(part)).map(u32::from).collect();
        let mut mask = gst::Buffer::from_slice(parts);
        let (flags, format) = (VideoFrameFlags::empty(), VideoFormat::Gray8);
        let target = mask.make_mut();
        VideoMeta::add_full(target, flags, format, item.w, item.h, &[0], &[item.w as i32])?;
        Ok((mask, regions))
    }
}

#[cfg(test)]
mod tests {
    use gst_analytics::{AnalyticsAnyMtd, AnalyticsODMtd, AnalyticsTrackingMtd};

    use super::*;
    use crate::person::{IuvMap, Person, Persons};

    fn buffer() -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::SECOND);
        buffer
    }

    fn persons(ids: &[u32]) -> Persons {
        let person = |&id| {
            let iuv = IuvMap::new(2, 1, vec![0, 0, 0, 9, 200, 100]).unwrap();
            Person { id, score: 0.75, x: 10, y: 20, iuv }
        };
        Persons { width: 100, height: 50, age: 0, moved: false, persons: ids.iter().map(person).collect() }
    }

    /// Ids of the tracking entries that the detections relate to.
    fn tracked(buffer: &gst::BufferRef) -> Vec<u64> {
        let Some(relation) = buffer.meta::<AnalyticsRelationMeta>() else { return vec![] };
        let detections: Vec<_> = relation.iter::<AnalyticsODMtd>().map(|d| d.id()).collect();
        let related = |id| relation.iter_direct_related::<AnalyticsTrackingMtd>(id, RelTypes::RELATE_TO);
        detections.into_iter().flat_map(|id| related(id).map(|t| t.info().0).collect::<Vec<_>>()).collect()
    }

    fn entries(buffer: &gst::BufferRef) -> usize {
        buffer.meta::<AnalyticsRelationMeta>().map_or(0, |r| r.iter::<AnalyticsAnyMtd>().count())
    }

    #[test]
    fn people_are_detections_with_their_ids() {
        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        meta::attach(b, &persons(&[7, 8]));
        assert_eq!(tracked(b), [7, 8]);
        let relation = b.meta::<AnalyticsRelationMeta>().unwrap();
        for detection in relation.iter::<AnalyticsODMtd>() {
            let place = detection.location().unwrap();
            assert_eq!((place.x, place.y, place.w, place.h, place.loc_conf_lvl), (10, 20, 2, 1, 0.75));
            assert_eq!(detection.obj_type().unwrap().as_str(), "person");
        }
        assert!(relation.iter::<AnalyticsTrackingMtd>().all(|t| t.info().1 == gst::ClockTime::SECOND));
    }

    #[test]
    fn attaching_again_replaces_and_removing_removes() {
        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        for ids in [&[7, 8][..], &[9], &[], &[1, 2]] {
            meta::attach(b, &persons(ids));
            assert_eq!((tracked(b).len(), entries(b)), (ids.len(), ids.len() * ENTRIES));
        }
        meta::remove(b);
        assert!(b.meta::<AnalyticsRelationMeta>().is_none());
    }

    #[test]
    fn results_of_others_stay_and_nobody_is_there_twice() {
        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        let face = glib::Quark::from_str("face");
        AnalyticsRelationMeta::add(b).add_od_mtd(face, 1, 2, 3, 4, 0.5).unwrap();
        meta::attach(b, &persons(&[7]));
        meta::attach(b, &persons(&[7]));
        assert_eq!(tracked(b), [7]);
        assert_eq!(entries(b), 1 + ENTRIES);
        meta::remove(b);
        let kinds = b.meta::<AnalyticsRelationMeta>().unwrap();
        assert!(kinds.iter::<AnalyticsODMtd>().any(|d| d.obj_type() == Some(face)));
    }

    #[test]
    fn an_empty_box_is_left_out() {
        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        let empty = Person { iuv: IuvMap::background(0, 4), ..persons(&[3]).persons.remove(0) };
        meta::attach(b, &Persons { persons: vec![empty], ..persons(&[]) });
        assert_eq!(entries(b), 0);
    }

    #[cfg(feature = "v1_26")]
    #[test]
    fn the_mask_holds_body_parts() {
        use gst_analytics::ffi;

        let mut buffer = buffer();
        let b = buffer.get_mut().unwrap();
        meta::attach(b, &persons(&[7]));
        let relation = b.meta::<AnalyticsRelationMeta>().unwrap();
        // SAFETY: entry 2 is the segmentation, which the first call checks; the mask is given with a reference of ours.
        let (place, regions, mask) = unsafe {
            let mut entry = std::mem::zeroed();
            assert_ne!(ffi::gst_analytics_relation_meta_get_segmentation_mtd(relation.as_mut_ptr(), 2, &mut entry), 0);
            let (mut x, mut y, mut w, mut h) = (0, 0, 0, 0);
            let mask = ffi::gst_analytics_segmentation_mtd_get_mask(&entry, &mut x, &mut y, &mut w, &mut h);
            let count = ffi::gst_analytics_segmentation_mtd_get_region_count(&entry);
            let region = |i| ffi::gst_analytics_segmentation_mtd_get_region_id(&entry, i);
            ((x, y, w, h), (0..count).map(region).collect::<Vec<_>>(), gst::Buffer::from_glib_full(mask))
        };
        assert_eq!((place, regions), ((10, 20, 2, 1), vec![0, 9]));
        assert_eq!(mask.map_readable().unwrap().as_slice(), [0, 9]);
    }
}
