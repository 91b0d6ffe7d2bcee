"""Pictures to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_picture(path: Path, pixels: np.ndarray, options: Sequence[int] = ()) -> None:
    """Writes ``pixels`` (OpenCV's order of channels and ``options``) in the format of the file's ending; `OSError` if that fails."""
    if not cv2.imwrite(str(path), pixels, options):
        raise OSError(f"cannot write {path}: is the disk full or the folder read-only?")
