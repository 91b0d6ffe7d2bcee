#!/usr/bin/env python3
"""Draws people with OpenCV: body parts in colour, boxes and ids.

Shows a window (q or Esc ends), or writes a video, or the first frame as a picture.

Examples: draw_opencv.py /dev/video0
          draw_opencv.py in.mp4 --output out.mp4
          draw_opencv.py in.jpg --output out.png
"""

from __future__ import annotations

import os
import sys
from typing import Any

from command_line import INPUT_HELP, densepose, finder, main, parser

try:
    import cv2
except ImportError:
    cv2 = None

OPACITY = 0.7
RATE = 25
WHITE = (255, 255, 255)


def draw(image: Any, frame: densepose.Frame) -> Any:
    """A copy of a BGR picture with the people on it."""
    labels = densepose.label_map(frame)
    colours = cv2.applyColorMap((labels.astype("uint16") * 255 // 24).astype("uint8"), cv2.COLORMAP_PARULA)
    mixed = cv2.addWeighted(colours, OPACITY, image, 1 - OPACITY, 0)
    drawn = image.copy()
    drawn[labels > 0] = mixed[labels > 0]
    for person in frame.persons:
        height, width = person.iuv.shape[:2]
        corner = (person.x + width - 1, person.y + height - 1)
        cv2.rectangle(drawn, (person.x, person.y), corner, WHITE, 1)
        text = f"{person.id}: {person.score:.2f}"
        cv2.putText(drawn, text, (person.x + 2, person.y + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, WHITE, 1, cv2.LINE_AA)
    return drawn


class Window:
    """Shows pictures; `show` says whether to go on."""

    def __init__(self) -> None:
        # OpenCV's Qt does not raise an error but ends the program.
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            raise densepose.Error("there is no screen to open a window on: name a file with --output instead")

    def show(self, image: Any) -> bool:
        try:
            cv2.imshow("densepose", image)
            return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)
        except cv2.error as error:
            raise densepose.Error(f"no window can be opened, name a file with --output instead: {error}") from error

    def close(self) -> None:
        cv2.destroyAllWindows()


class Picture:
    """Writes the first picture to a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def show(self, image: Any) -> bool:
        if not cv2.imwrite(self.path, image):
            raise densepose.Error(f"OpenCV cannot write '{self.path}': is its folder there and writable?")
        return False

    def close(self) -> None:
        pass


class Video:
    """Writes an MP4 file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.writer = None

    def show(self, image: Any) -> bool:
        if self.writer is None:
            size = (image.shape[1], image.shape[0])
            self.writer = cv2.VideoWriter(self.path, cv2.VideoWriter_fourcc(*"mp4v"), RATE, size)
        if not self.writer.isOpened():
            raise densepose.Error(f"OpenCV cannot write '{self.path}': is its folder there and does it end in .mp4?")
        self.writer.write(image)
        return True

    def close(self) -> None:
        if self.writer is not None:
            self.writer.release()


def work() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("input", metavar="INPUT", help=INPUT_HELP)
    arguments.add_argument("--output", metavar="FILE", help="an .mp4 video, or a .png or .jpg picture")
    given = arguments.parse_args()
    if cv2 is None:
        raise densepose.Error("Python does not find OpenCV (cv2): install python3-opencv")
    kind = os.path.splitext(given.output or "")[1].lower()
    if given.output is None:
        output = Window()
    elif kind in (".png", ".jpg", ".jpeg"):
        output = Picture(given.output)
    elif kind == ".mp4":
        output = Video(given.output)
    else:
        raise densepose.Error(f"'{given.output}' is neither .mp4 nor .png nor .jpg")
    # A video has one frame rate, whatever the camera does.
    caps = f"videorate ! video/x-raw,framerate={RATE}/1" if kind == ".mp4" else ""
    try:
        for _pts, image, frame in densepose.run(finder(given.input, given.densepose, caps), format="BGR"):
            if not output.show(draw(image, frame)):
                break
    finally:
        output.close()


main(work)
