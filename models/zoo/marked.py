"""Replaces a part of a text file that two marks enclose: `<!-- NAME -->` and `<!-- /NAME -->`.

    python -m zoo.marked FILE NAME < NEW

So tables of measurements in README.md are made anew by the scripts that measure, and the words around them stay.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


class MarkError(ValueError):
    """A file without the marks; the message names both."""


def replace(text: str, name: str, new: str) -> str:
    """`text` with `new` between the marks of `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise MarkError(f"the marks {begin} and {end} are missing: where shall it go?")
    return f"{head}{begin}\n{new.strip()}\n{end}{tail}"


def replace_in(path: str | Path, name: str, new: str) -> None:
    """The same in a file, which is only written where both marks are there."""
    path = Path(path)
    try:
        path.write_text(replace(path.read_text(), name, new))
    except MarkError as error:
        raise MarkError(f"{path}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("name")
    arguments = parser.parse_args()
    try:
        replace_in(arguments.file, arguments.name, sys.stdin.read())
    except (MarkError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
