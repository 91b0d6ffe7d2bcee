"""Reads the people whom the GStreamer element `densepose` finds, from Python.

Needs PyGObject with GStreamer (Debian: python3-gi python3-gst-1.0 gir1.2-gst-plugins-base-1.0). Arrays are numpy's
where numpy is there (python3-numpy), and memoryviews of the same shape where it is not.

    import densepose
    for pts, image, frame in densepose.run("filesrc location=in.mp4 ! decodebin ! videoconvert ! videoflip video-direction=auto ! densepose"):
        for person in frame.persons:
            print(pts, person.id, person.score, person.x, person.y, person.iuv.shape)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None

META = "GstDensePoseMeta"
VERSION = 1

PARTS = (
    "background", "torso back", "torso front", "right hand", "left hand", "left foot", "right foot",
    "right upper leg back", "left upper leg back", "right upper leg front", "left upper leg front",
    "right lower leg back", "left lower leg back", "right lower leg front", "left lower leg front",
    "left upper arm inside", "right upper arm inside", "left upper arm outside", "right upper arm outside",
    "left lower arm inside", "right lower arm inside", "left lower arm outside", "right lower arm outside",
    "head right", "head left",
)  # fmt: skip
"""Names of the values of I: `PARTS[0]` is background, 1 to 24 are body parts."""


class Error(Exception):
    """What went wrong and what to do about it, in words for users."""


@dataclass
class Person:
    id: int
    """Stays the same from frame to frame while the person is followed."""
    score: float
    """Confidence, 0 to 1."""
    x: int
    """Left edge of the box in pixels; may lie outside of the frame."""
    y: int
    """Top edge."""
    iuv: Any
    """uint8 of shape (height of the box, width of the box, 3): body part I, U times 255, V times 255; read-only."""


@dataclass
class Frame:
    width: int
    """Width in pixels of the frame that the boxes refer to."""
    height: int
    """Height, likewise."""
    age: int
    """Frames since the inference that found these people; 0 = found in this very frame."""
    persons: list[Person]
    """Best score first."""
    moved: bool = False
    """Boxes and maps were moved with the picture since that inference."""


def read(buffer: Gst.Buffer) -> Frame | None:
    """The people attached to a buffer; None if it carries none, or those of a version that this module does not know.

    A person whose map does not have the size of the box is left out.
    """
    # GStreamer knows the meta once the plugin is loaded; before that no buffer carries it.
    meta = buffer.get_custom_meta(META) if Gst.meta_get_info(META) else None
    structure = meta.get_structure() if meta else None
    if not structure or structure["version"] != VERSION:
        return None
    persons = [_person(person) for person in structure["persons"]]
    moved = structure.has_field("moved") and structure["moved"]
    return Frame(structure["width"], structure["height"], structure["age"], [p for p in persons if p], moved)


def _person(structure: Gst.Structure) -> Person | None:
    width, height, iuv = structure["w"], structure["h"], structure["iuv"]
    data = iuv.extract_dup(0, iuv.get_size())
    if not data or len(data) != width * height * 3:
        return None
    return Person(structure["id"], structure["score"], structure["x"], structure["y"], _array(data, (height, width, 3)))


def _array(data: bytes, shape: tuple[int, ...]) -> Any:
    if numpy is None:
        return memoryview(data).cast("B", shape)
    return numpy.frombuffer(data, numpy.uint8).reshape(shape)


def label_map(frame: Frame) -> Any:
    """The body part of every pixel of the frame, uint8 of shape (height, width); needs numpy.

    Where people overlap, the one with the better score is seen.
    """
    if numpy is None:
        raise Error("label_map() needs numpy: install python3-numpy")
    labels = numpy.zeros((frame.height, frame.width), numpy.uint8)
    for person in reversed(frame.persons):
        height, width = person.iuv.shape[:2]
        top, left = max(person.y, 0), max(person.x, 0)
        area = labels[top : max(person.y + height, 0), left : max(person.x + width, 0)]
        parts = person.iuv[top - person.y :, left - person.x :, 0][: area.shape[0], : area.shape[1]]
        area[parts > 0] = parts[parts > 0]
    return labels


# Frames of a live source that may come before the network has looked at one.
PATIENCE = 1000
NO_PEOPLE = "the frames carry no people: put 'densepose' into the pipeline, behind crops and flips"


def run(pipeline: str, format: str = "RGB") -> Iterator[tuple[int | None, Any, Frame]]:
    """Runs a pipeline described as for gst-launch-1.0, up to and with `densepose`; yields what comes out, to its end.

    Yields (pts, image, frame): the time in nanoseconds or None; the picture as uint8 of shape (height, width, 3) in
    `format` (RGB or BGR); the people. Frames of a camera do not wait for the network: those before its first result, and
    for a moment after a cut in the picture, are left out. Stops the pipeline at the end, and when the loop is left. Raises Error.
    """
    Gst.init(None)
    if not Gst.ElementFactory.find("densepose"):
        raise Error(
            "GStreamer does not find the element 'densepose': build it with `make build` and set GST_PLUGIN_PATH to "
            "target/release, or `make install` it"
        )
    try:
        # One frame may wait: a slow loop slows down files, and cameras drop what it has no time for.
        running = Gst.parse_launch(
            f"{pipeline} ! videoconvert ! video/x-raw,format={format} ! appsink name=out sync=false max-buffers=1"
        )
    except gi.repository.GLib.Error as error:
        raise Error(f"cannot make the pipeline '{pipeline}': {error.message}") from error
    try:
        running.set_state(Gst.State.PLAYING)
        yield from _frames(running, running.get_by_name("out"))
    finally:
        running.set_state(Gst.State.NULL)


def _frames(running: Gst.Element, sink: Gst.Element) -> Iterator[tuple[int | None, Any, Frame]]:
    bare = 0
    while True:
        # Not for ever, so that Python sees Ctrl-C and errors are seen where no frame comes.
        sample = sink.emit("try-pull-sample", Gst.SECOND // 10)
        if sample:
            buffer = sample.get_buffer()
            image = _image(buffer, GstVideo.VideoInfo.new_from_caps(sample.get_caps()))
            frame = read(buffer)
            if frame is None:
                bare += 1
                if bare > PATIENCE:
                    raise Error(NO_PEOPLE)
                continue
            bare = 0
            yield (buffer.pts if buffer.pts != Gst.CLOCK_TIME_NONE else None), image, frame
            continue
        message = running.get_bus().pop_filtered(Gst.MessageType.ERROR)
        if message:
            error, details = message.parse_error()
            raise Error(f"{message.src.get_name()}: {error.message}" + (f"\n{details}" if details else ""))
        if sink.get_property("eos"):
            if bare:
                raise Error(NO_PEOPLE)
            return


def _image(buffer: Gst.Buffer, info: GstVideo.VideoInfo) -> Any:
    data = buffer.extract_dup(0, buffer.get_size())
    meta = GstVideo.buffer_get_video_meta(buffer)
    stride, offset = (meta.stride[0], meta.offset[0]) if meta else (info.stride[0], info.offset[0])
    row = info.width * 3
    if stride != row or offset:
        data = b"".join(data[offset + y * stride :][:row] for y in range(info.height))
    return _array(data[: row * info.height], (info.height, info.width, 3))
