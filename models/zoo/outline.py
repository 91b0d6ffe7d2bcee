"""Outlines of labelled people, brought to the edges that the picture shows.

The teacher that labelled the photographs sees a grid of 8 pixels: its outline is one to three pixels too wide, and what
lies between two legs, or between arm and body, is called leg or arm or is left open. A network that learns from that fills
such gaps. GrabCut (Rother, Kolmogorov, Blake, 2004), begun with the labels, finds the edge in the colours.
"""

from __future__ import annotations

import cv2
import numpy as np

from .augment import IGNORE

BAND = 0.007  # how far a label may be wrong at its border, in longer sides of the person's box
THIN = 0.011  # open places of more than twice this width stay open: they may be a foot or a hand that nobody labelled
MARGIN = 0.12  # of the picture around the box that says what the background looks like
ROUNDS = 2  # of GrabCut
LEAST_PIXELS = 50  # of person and of background that must be certain


def sharpened(image: np.ndarray, label: np.ndarray, number: int, box: np.ndarray) -> np.ndarray:
    """Label (h, w, 4), as in `augment`, in which the border of the person ``number`` in ``box`` (x0, y0, x1, y1) gave way to background.

    ``image`` is uint8 RGB (h, w, 3). Labels are only taken away, within a band along the outline; places without label
    become background where they are thin and look like it. A person of whom little is certain stays as is.
    """
    x0, y0, x1, y1 = (int(v) for v in box)
    side = max(x1 - x0, y1 - y0)
    band, margin = max(1, round(BAND * side)), max(6, round(MARGIN * side))
    window = np.s_[max(y0 - margin, 0) : y1 + margin, max(x0 - margin, 0) : x1 + margin]
    part, whose = label[window][..., 0], label[window][..., 3]
    own = whose == number
    body = own & (part > 0) & (part < IGNORE)
    empty = (whose == 0) & (part == 0)
    # Seams between parts are open, too; a pixel far from all background is no border.
    inside = cv2.distanceTransform((~empty).astype(np.uint8), cv2.DIST_L2, 5) > 2.5 * band + 1
    certain = _eroded(body, band) | (body & inside & _eroded(_closed(body, 2), band))
    outside = (empty & ~_dilated(own, band)) | ~(own | empty)
    if min(certain.sum(), outside.sum()) < LEAST_PIXELS:
        return label
    mask = np.where(body, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[certain], mask[outside] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(0)  # of GrabCut's clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[window]), mask, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    gone = own & ((mask == cv2.GC_BGD) | (mask == cv2.GC_PR_BGD))
    kernel = _disc(max(1, round(THIN * side)))
    gone &= cv2.morphologyEx((gone & ~body).astype(np.uint8), cv2.MORPH_OPEN, kernel) == 0
    result = label.copy()
    result[window][gone] = 0
    return result


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), _disc(radius)) > 0


def _dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), _disc(radius)) > 0


def _closed(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, _disc(radius)) > 0
