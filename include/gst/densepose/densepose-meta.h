/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/**
 * densepose-meta.h: reads GstDensePoseMeta, the people whom the element "densepose" attaches to video buffers.
 *
 * Only GStreamer's public API (1.22 or newer) is used and nothing has to be linked: pkg-config gst-densepose-1.0.
 *
 *     GstDensePoseFrame frame;
 *     GstDensePosePerson person;
 *
 *     if (gst_densepose_frame_read (buffer, &frame)) {
 *       for (guint i = 0; i < frame.n_persons; i++) {
 *         GstMapInfo iuv;
 *
 *         if (!gst_densepose_frame_person (&frame, i, &person) || !gst_densepose_person_map (&person, &iuv))
 *           continue;
 *         // iuv.data: person.h rows of person.w pixels of three bytes
 *         gst_densepose_person_unmap (&person, &iuv);
 *       }
 *     }
 *
 * What is read is borrowed from the buffer and valid as long as the buffer and its meta are.
 */

#ifndef GST_DENSEPOSE_META_H
#define GST_DENSEPOSE_META_H

#include <gst/gst.h>

G_BEGIN_DECLS

/** Name of the meta (a GstCustomMeta) and of its structure. */
#define GST_DENSEPOSE_META_NAME "GstDensePoseMeta"
/** Version of the layout that this header reads. */
#define GST_DENSEPOSE_META_VERSION 1

/* Fields of the structure. */
#define GST_DENSEPOSE_FIELD_VERSION "version" /* uint */
#define GST_DENSEPOSE_FIELD_WIDTH "width"     /* uint, pixels of the frame that the boxes refer to */
#define GST_DENSEPOSE_FIELD_HEIGHT "height"   /* uint, likewise */
#define GST_DENSEPOSE_FIELD_AGE "age"         /* uint, frames since the inference; 0 = found in this very frame */
#define GST_DENSEPOSE_FIELD_MOVED "moved"     /* boolean, TRUE where people were moved with the picture since then; absent = FALSE */
#define GST_DENSEPOSE_FIELD_PERSONS "persons" /* GstValueArray of GstStructure, best score first */

/* Fields of each person. */
#define GST_DENSEPOSE_PERSON_ID "id"       /* uint, stays the same while the person is followed */
#define GST_DENSEPOSE_PERSON_SCORE "score" /* double, 0 to 1 */
#define GST_DENSEPOSE_PERSON_X "x"         /* int, left edge of the box in pixels */
#define GST_DENSEPOSE_PERSON_Y "y"         /* int, top edge */
#define GST_DENSEPOSE_PERSON_W "w"         /* uint, width */
#define GST_DENSEPOSE_PERSON_H "h"         /* uint, height */
#define GST_DENSEPOSE_PERSON_IUV "iuv"     /* GstBuffer of h * w * 3 bytes, rows top to bottom, without padding */

/** Values of I: 0 is background, 1 to 24 are body parts. */
#define GST_DENSEPOSE_N_PARTS 25

/** The people of a frame. */
typedef struct
{
  guint width;           /* of the frame that the boxes refer to, in pixels */
  guint height;
  guint age;             /* frames since the inference; 0 = found in this very frame */
  guint n_persons;
  const GValue *persons; /* for gst_densepose_frame_person() */
} GstDensePoseFrame;

/** One person of a frame. */
typedef struct
{
  guint id;       /* stays the same from frame to frame while the person is followed */
  gdouble score;  /* confidence, 0 to 1 */
  gint x;         /* left edge of the box in pixels; may lie outside of the frame */
  gint y;         /* top edge */
  guint w;        /* width in pixels */
  guint h;        /* height in pixels */
  GstBuffer *iuv; /* for gst_densepose_person_map() */
} GstDensePosePerson;

/** The name of a value of I; NULL if it is larger than 24. */
static inline const gchar *
gst_densepose_part_name (guint part)
{
  static const gchar *const names[GST_DENSEPOSE_N_PARTS] = {
    "background",
    "torso back",
    "torso front",
    "right hand",
    "left hand",
    "left foot",
    "right foot",
    "right upper leg back",
    "left upper leg back",
    "right upper leg front",
    "left upper leg front",
    "right lower leg back",
    "left lower leg back",
    "right lower leg front",
    "left lower leg front",
    "left upper arm inside",
    "right upper arm inside",
    "left upper arm outside",
    "right upper arm outside",
    "left lower arm inside",
    "right lower arm inside",
    "left lower arm outside",
    "right lower arm outside",
    "head right",
    "head left",
  };

  return part < GST_DENSEPOSE_N_PARTS ? names[part] : NULL;
}

/**
 * Reads the people of a frame. FALSE where the buffer carries none, or those of a version that this header does not
 * know, and frame is left as it was.
 */
static inline gboolean
gst_densepose_frame_read (GstBuffer * buffer, GstDensePoseFrame * frame)
{
  GstCustomMeta *meta;
  GstStructure *structure;
  const GValue *persons;
  guint version, width, height, age;

  /* GStreamer knows the meta once the plugin is loaded; before that no buffer carries it. */
  if (gst_meta_get_info (GST_DENSEPOSE_META_NAME) == NULL)
    return FALSE;
  meta = gst_buffer_get_custom_meta (buffer, GST_DENSEPOSE_META_NAME);
  if (meta == NULL)
    return FALSE;
  structure = gst_custom_meta_get_structure (meta);
  persons = gst_structure_get_value (structure, GST_DENSEPOSE_FIELD_PERSONS);
  if (persons == NULL || !GST_VALUE_HOLDS_ARRAY (persons)
      || !gst_structure_get_uint (structure, GST_DENSEPOSE_FIELD_VERSION, &version)
      || version != GST_DENSEPOSE_META_VERSION
      || !gst_structure_get_uint (structure, GST_DENSEPOSE_FIELD_WIDTH, &width)
      || !gst_structure_get_uint (structure, GST_DENSEPOSE_FIELD_HEIGHT, &height)
      || !gst_structure_get_uint (structure, GST_DENSEPOSE_FIELD_AGE, &age))
    return FALSE;
  frame->width = width;
  frame->height = height;
  frame->age = age;
  frame->n_persons = gst_value_array_get_size (persons);
  frame->persons = persons;
  return TRUE;
}

/**
 * Reads person i, best score first. FALSE where i is n_persons or more or a field is missing or of another type.
 */
static inline gboolean
gst_densepose_frame_person (const GstDensePoseFrame * frame, guint i, GstDensePosePerson * person)
{
  const GValue *value, *iuv;
  const GstStructure *structure;

  if (i >= frame->n_persons)
    return FALSE;
  value = gst_value_array_get_value (frame->persons, i);
  if (!GST_VALUE_HOLDS_STRUCTURE (value))
    return FALSE;
  structure = gst_value_get_structure (value);
  iuv = gst_structure_get_value (structure, GST_DENSEPOSE_PERSON_IUV);
  if (iuv == NULL || !GST_VALUE_HOLDS_BUFFER (iuv))
    return FALSE;
  person->iuv = gst_value_get_buffer (iuv);
  return person->iuv != NULL
      && gst_structure_get_uint (structure, GST_DENSEPOSE_PERSON_ID, &person->id)
      && gst_structure_get_double (structure, GST_DENSEPOSE_PERSON_SCORE, &person->score)
      && gst_structure_get_int (structure, GST_DENSEPOSE_PERSON_X, &person->x)
      && gst_structure_get_int (structure, GST_DENSEPOSE_PERSON_Y, &person->y)
      && gst_structure_get_uint (structure, GST_DENSEPOSE_PERSON_W, &person->w)
      && gst_structure_get_uint (structure, GST_DENSEPOSE_PERSON_H, &person->h);
}

/**
 * Maps the person's surface for reading: h rows of w pixels of three bytes, the body part I, U times 255 and V times
 * 255, without padding. TRUE only where as many bytes are there; then end with gst_densepose_person_unmap().
 */
static inline gboolean
gst_densepose_person_map (const GstDensePosePerson * person, GstMapInfo * iuv)
{
  if (!gst_buffer_map (person->iuv, iuv, GST_MAP_READ))
    return FALSE;
  /* Divided, not multiplied: sizes that lie must not overflow. */
  if (person->w == 0 || person->h == 0 || iuv->size % 3 != 0 || iuv->size / 3 % person->w != 0
      || iuv->size / 3 / person->w != person->h) {
    gst_buffer_unmap (person->iuv, iuv);
    return FALSE;
  }
  return TRUE;
}

/** Ends what gst_densepose_person_map() began. */
static inline void
gst_densepose_person_unmap (const GstDensePosePerson * person, GstMapInfo * iuv)
{
  gst_buffer_unmap (person->iuv, iuv);
}

G_END_DECLS

#endif /* GST_DENSEPOSE_META_H */
