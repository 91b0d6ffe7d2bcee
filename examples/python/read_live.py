#!/usr/bin/env python3
"""Prints the people whom `densepose` finds, a line each, until the video ends or Ctrl-C.

Example: read_live.py /dev/video0
"""

from command_line import INPUT_HELP, densepose, finder, main, parser


def describe(person: densepose.Person) -> str:
    height, width = person.iuv.shape[:2]
    # tobytes() is what numpy's arrays and memoryviews have in common.
    seen = [densepose.PARTS[part] for part in sorted(set(person.iuv.tobytes()[::3])) if 0 < part < len(densepose.PARTS)]
    box = f"{width}x{height} at {person.x},{person.y}"
    return f"person {person.id}: score {person.score:.2f}, {box}, {', '.join(seen) or 'no part seen'}"


def work() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("input", metavar="INPUT", help=INPUT_HELP)
    given = arguments.parse_args()
    for pts, _image, frame in densepose.run(finder(given.input, given.densepose)):
        time = "--.---" if pts is None else f"{pts / 1e9:6.3f}"
        for person in frame.persons:
            print(time, describe(person), flush=True)


main(work)
