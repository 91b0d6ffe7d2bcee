#!/usr/bin/env python3
"""Writes what `densepose` finds as a COCO results file, from which the DensePose evaluator is fed.

Each person is an object of the file's one list:
  image_id      the number at the end of the file's name (COCO's own pictures are named so), or 1; it counts up
                from frame to frame of a video
  category_id   1, person
  bbox          [x, y, width, height] in pixels
  score         confidence, 0 to 1
  densepose     {"shape_chw": [3, height, width], "labels_uv_str": "..."}, as detectron2 compresses charts: base64 of a
                PNG as large as the box, red = I (part), green = U times 255, blue = V times 255
  segmentation  run lengths of the person's pixels in the whole picture, {"size": [height, width], "counts": "..."}

Example: write_coco.py COCO_val2014_*.jpg --output results.json
"""

from __future__ import annotations

import base64
import json
import os
import re
import struct
import zlib
from typing import Any, Iterator

from command_line import INPUT_HELP, densepose, finder, main, parser

try:
    import numpy
except ImportError:
    numpy = None


def png(image: Any) -> bytes:
    """An RGB picture, uint8 of shape (height, width, 3), as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def run_lengths(mask: Any) -> str:
    """COCO's compressed run lengths of a mask: column by column, beginning with a run of zeros."""
    flat = mask.T.ravel()
    ends = numpy.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = numpy.diff([0, *ends, flat.size]).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    # From the fourth on, a run is told by its difference to the one of the same colour before.
    numbers = runs[:3] + [run - before for run, before in zip(runs[3:], runs[1:])]
    return "".join(_base48(number) for number in numbers)


def _base48(number: int) -> str:
    """Five bits a character, lowest first; the sixth says that more follow. The last one's highest bit is the sign."""
    text = ""
    while True:
        bits, number = number & 31, number >> 5
        more = number != (-1 if bits & 16 else 0)
        text += chr(48 + bits + 32 * more)
        if not more:
            return text


def result(person: densepose.Person, frame: densepose.Frame, image_id: int) -> dict[str, Any]:
    height, width = person.iuv.shape[:2]
    alone = densepose.Frame(frame.width, frame.height, frame.age, [person])
    return {
        "image_id": image_id,
        "category_id": 1,
        "bbox": [person.x, person.y, width, height],
        "score": person.score,
        "densepose": {
            "shape_chw": [3, height, width],
            "labels_uv_str": base64.b64encode(png(person.iuv)).decode("ascii"),
        },
        "segmentation": {
            "size": [frame.height, frame.width],
            "counts": run_lengths(densepose.label_map(alone) > 0),
        },
    }


def results(inputs: list[str], properties: str) -> Iterator[dict[str, Any]]:
    for name in inputs:
        number = re.search(r"(\d+)$", os.path.splitext(os.path.basename(name))[0])
        first = int(number.group()) if number else 1
        for image_id, (_pts, _image, frame) in enumerate(densepose.run(finder(name, properties)), first):
            yield from (result(person, frame, image_id) for person in frame.persons)


def work() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("inputs", metavar="INPUT", nargs="+", help=INPUT_HELP)
    arguments.add_argument("--output", metavar="FILE", required=True, help="the JSON file to write")
    given = arguments.parse_args()
    if numpy is None:
        raise densepose.Error("Python does not find numpy: install python3-numpy")
    # Under another name until it is whole, so that nobody reads half a list.
    part = given.output + ".part"
    written = 0
    try:
        with open(part, "w", encoding="ascii") as file:
            try:
                for entry in results(given.inputs, given.densepose):
                    file.write((",\n" if written else "[\n") + json.dumps(entry))
                    written += 1
            except KeyboardInterrupt:
                # What was found until then is a whole list, too.
                pass
            file.write("\n]\n" if written else "[]\n")
        os.replace(part, given.output)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise
    print(f"{given.output}: {written} people")


main(work)
