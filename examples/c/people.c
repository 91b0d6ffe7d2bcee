/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/**
 * Prints the people whom densepose finds: people PIPELINE, described as for gst-launch-1.0 up to and with densepose.
 *
 *     cc -o people people.c $(pkg-config --cflags --libs gst-densepose-1.0)
 *     ./people "filesrc location=in.mp4 ! decodebin ! videoconvert ! videoflip video-direction=auto ! densepose"
 */

#include <gst/densepose/densepose-meta.h>

/** How many pixels of the person each body part has. */
static void
print_parts (const GstDensePosePerson * person, const GstMapInfo * iuv)
{
  guint pixels[GST_DENSEPOSE_N_PARTS] = { 0 };
  gsize i;
  guint part;

  for (i = 0; i < iuv->size; i += 3)
    if (iuv->data[i] < GST_DENSEPOSE_N_PARTS)
      pixels[iuv->data[i]]++;
  for (part = 1; part < GST_DENSEPOSE_N_PARTS; part++)
    if (pixels[part] > 0)
      g_print ("  person %u: %s, %u pixels\n", person->id, gst_densepose_part_name (part), pixels[part]);
}

/** Called with every frame that reaches the sink. */
static GstPadProbeReturn
print_people (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  GstBuffer *buffer = gst_pad_probe_info_get_buffer (info);
  GstDensePoseFrame frame;
  GstDensePosePerson person;
  GstMapInfo iuv;
  guint i;

  (void) pad;
  (void) user_data;
  if (!gst_densepose_frame_read (buffer, &frame)) {
    g_print ("no people attached\n");
    return GST_PAD_PROBE_OK;
  }
  g_print ("frame %ux%u, age %u: %u people\n", frame.width, frame.height, frame.age, frame.n_persons);
  for (i = 0; i < frame.n_persons; i++) {
    if (!gst_densepose_frame_person (&frame, i, &person) || !gst_densepose_person_map (&person, &iuv))
      continue;
    g_print (" person %u: score %.3f, box %d,%d %ux%u\n", person.id, person.score, person.x, person.y, person.w,
        person.h);
    print_parts (&person, &iuv);
    gst_densepose_person_unmap (&person, &iuv);
  }
  return GST_PAD_PROBE_OK;
}

int
main (int argc, char **argv)
{
  GError *error = NULL;
  GstElement *pipeline, *sink;
  GstMessage *message;
  GstPad *pad;
  gchar *description;
  int status = 0;

  gst_init (&argc, &argv);
  if (argc != 2) {
    g_printerr ("usage: %s PIPELINE, such as \"v4l2src ! videoconvert ! densepose\"\n", argv[0]);
    return 2;
  }
  description = g_strdup_printf ("%s ! fakesink name=out", argv[1]);
  pipeline = gst_parse_launch (description, &error);
  g_free (description);
  if (error != NULL) {
    g_printerr ("cannot make this pipeline: %s\n", error->message);
    g_clear_error (&error);
    gst_clear_object (&pipeline);
    return 1;
  }
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, print_people, NULL, NULL);
  gst_object_unref (pad);
  gst_object_unref (sink);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline), GST_CLOCK_TIME_NONE,
      (GstMessageType) (GST_MESSAGE_ERROR | GST_MESSAGE_EOS));
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, NULL);
    g_printerr ("%s: %s\n", GST_MESSAGE_SRC_NAME (message), error->message);
    g_clear_error (&error);
    status = 1;
  }
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return status;
}
