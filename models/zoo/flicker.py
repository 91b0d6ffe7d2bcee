"""How steady the results on a video are: python -m zoo.flicker VIDEO PEOPLE.jsonl [--truth TRUTH.jsonl] [--json FILE]

PEOPLE.jsonl is what `densepose ! densepose-export` wrote for that very video, with its maps (iuv). Measured over body
pixels that optical flow (DIS, Kroeger et al. 2016) follows from frame to frame without contradiction:

* `changed`: share whose part is another than one frame earlier,
* `blinking`: share whose part is another than in the frame before and in the frame after, which agree: what a viewer
  sees as flicker, and motion hardly ever causes,
* `shaking`: mean second difference of a followed person's box edges, as a share of the box's side,
* `lost`: ids that end while a person of about the same box is found in the next frame or the one after, per 100 frames.

With the people who are known to be there, in a file of the same kind (`zoo.walks` renders such clips), also

* `blinking_beyond`: like `blinking`, but for pixels that blink in the truth, too, where something passes in front,
* `idf1`, `recall`, `precision`, `switches`, `fragments`: see `zoo.identities`.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from zoo.identities import Identities
from zoo.inference import Person
from zoo.metrics import box_iou, compose

TOLERANCE = 1.0  # pixels that flow forth and back may miss the start by


class FlickerError(ValueError):
    """Input that cannot be used; the message names the file."""


def read_people(path: Path) -> Iterator[tuple[np.ndarray, dict[int, np.ndarray]]]:
    """Per line of the file the part of every pixel (height, width) uint8 and the box (x0, y0, x1, y1) of each id."""
    try:
        file = path.open()
    except OSError as error:
        raise FlickerError(f"{path}: {error.strerror}; write it with densepose-export location={path}") from error
    with file:
        for number, line in enumerate(file, 1):
            try:
                frame = json.loads(line)
                boxes = {}
                people = []
                for person in frame["persons"]:
                    x, y, w, h = person["box"]
                    boxes[person["id"]] = np.array([x, y, x + w, y + h], float)
                    png = np.frombuffer(base64.b64decode(person["iuv"]), np.uint8)
                    iuv = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1]  # OpenCV has blue first
                    people.append(Person(tuple(boxes[person["id"]]), person["score"], x, y, w, h, iuv))
                parts = compose(people, (frame["height"], frame["width"]))[..., 0]
            except (ValueError, KeyError, TypeError, cv2.error) as error:
                raise FlickerError(f"{path}:{number}: {type(error).__name__}: {error}; it needs id, box and iuv (png)") from error
            yield parts, boxes


def read_video(path: Path) -> Iterator[np.ndarray]:
    """Gray frames (height, width) uint8."""
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise FlickerError(f"{path}: no video that OpenCV can read")
    while (frame := video.read())[0]:
        yield cv2.cvtColor(frame[1], cv2.COLOR_BGR2GRAY)


class Meter:
    """Sums over the frames of a video."""

    def __init__(self) -> None:
        self.flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.last: tuple[np.ndarray, np.ndarray] | None = None  # picture and parts
        self.earlier: np.ndarray | None = None  # parts of the frame before the last, where the last one shows them
        self.back: np.ndarray | None = None  # flow from the newest frame to the one before
        self.boxes: list[dict[int, np.ndarray]] = []  # the last three
        self.blinks: np.ndarray | None = None  # pixels of the newest frame that were another part in the one before
        self.count = self.seen = self.changed = self.followed = self.blinking = self.lost = 0
        self.shakes: list[float] = []

    def add(self, gray: np.ndarray, parts: np.ndarray, boxes: dict[int, np.ndarray]) -> None:
        """The next frame: picture, parts (both height, width) and boxes by id."""
        if gray.shape != parts.shape:
            raise FlickerError(f"the video is {gray.shape[1]}x{gray.shape[0]}, the people's frame {parts.shape[1]}x{parts.shape[0]}")
        self.count += 1
        if self.last is not None:
            before, sure = self._before(*self.last, gray)
            self.seen += sure.sum()
            self.changed += (sure & (before != parts)).sum()
            if self.earlier is not None:
                # What was two frames ago where a pixel of this frame was then.
                middle = cv2.remap(self.earlier, _positions(self.back), None, cv2.INTER_NEAREST)
                held = sure & (middle > 0)
                self.followed += held.sum()
                self.blinks = held & (before != parts) & (middle == parts)
                self.blinking += self.blinks.sum()
            self.earlier = np.where(sure, before, 0).astype(np.uint8)
        self._follow(boxes)
        self.last = gray, parts

    def _before(self, old: np.ndarray, parts: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each pixel of `new` its part in `old`, and where that is a body pixel that flow follows both ways."""
        back, forth = self.flow.calc(new, old, None), self.flow.calc(old, new, None)
        self.back = back
        there = _positions(back)
        missed = back + cv2.remap(forth, there, None, cv2.INTER_LINEAR)
        sure = np.abs(missed).max(axis=2) < TOLERANCE
        before = cv2.remap(parts, there, None, cv2.INTER_NEAREST)
        return before, sure & (before > 0)

    def _follow(self, boxes: dict[int, np.ndarray]) -> None:
        self.boxes = [*self.boxes, boxes][-3:]
        if len(self.boxes) < 3:
            return
        first, second, third = self.boxes
        for number in first.keys() & second.keys() & third.keys():
            bend = np.abs(first[number] - 2 * second[number] + third[number])
            sides = np.tile(np.maximum(second[number][2:] - second[number][:2], 1), 2)
            self.shakes.append(float((bend / sides).mean()))
        for number in first.keys() - second.keys():
            later = np.array([*second.values(), *third.values()]).reshape(-1, 4)
            self.lost += bool((box_iou(first[number][None], later) > 0.5).any())

    def result(self) -> dict[str, float]:
        """The figures of the module's docstring; shares in percent."""

        def percent(part: float, whole: float) -> float:
            return round(100.0 * float(part) / max(float(whole), 1.0), 3)

        return {
            "frames": self.count,
            "changed": percent(self.changed, self.seen),
            "blinking": percent(self.blinking, self.followed),
            "shaking": percent(sum(self.shakes), len(self.shakes)),
            "lost": percent(self.lost, self.count),
        }


def _positions(flow: np.ndarray) -> np.ndarray:
    """Where each pixel comes from, (height, width, 2) float32 x, y."""
    height, width = flow.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float32)
    return grid + flow


def measure(video: Path, people: Path, truth: Path | None = None) -> dict[str, float]:
    """The figures for a video and its people, and how they compare with those who are known to be there."""
    meter, true, identities = Meter(), Meter(), Identities()
    beyond = 0
    known = read_people(truth) if truth else None
    for gray, (parts, boxes) in zip(read_video(video), read_people(people)):
        meter.add(gray, parts, boxes)
        if known is None:
            continue
        if (frame := next(known, None)) is None:
            raise FlickerError(f"{truth} ends after {meter.count - 1} frames, before {people}")
        true.add(gray, *frame)
        identities.add(frame[1], boxes)
        if meter.blinks is not None:
            beyond += (meter.blinks & ~true.blinks).sum()
    if meter.count < 3:
        raise FlickerError(f"{video} and {people} have {meter.count} frames in common; three are needed")
    result = meter.result()
    if known is not None:
        result["blinking_beyond"] = round(100.0 * float(beyond) / max(float(meter.followed), 1.0), 3)
        result |= identities.result()
    return result


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m zoo.flicker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("people", type=Path, help="JSON Lines of densepose-export")
    parser.add_argument("--truth", type=Path, help="the people who are known to be there, in the same format")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args(arguments)
    try:
        result = measure(args.video, args.people, args.truth)
    except FlickerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(" ".join(f"{name}={value:g}" for name, value in result.items()))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
