"""How good predicted people are: boxes, outlines, parts, surface coordinates.

All maps are uint8 (h, w, 3) with channels I (0 background, 1..24 part; in truths also 255 = not judged), U and V
(255 times 0..1). Everything a pixel says where the truth is 255 is left out.

Definitions, for one person or one whole picture, with T and P the truth's and the prediction's foreground (I in
1..24), t and p a pixel's labels in them:

* foreground IoU = |T and P| / |T or P|,
* part agreement = share of T and P where I(t) = I(p); |dU|, |dV| = mean absolute differences where it is (0..1),
* GPS, geodesic point similarity (Guler et al., DensePose, CVPR 2018, eq. 2) = mean over T of
  exp(-g(t, p)^2 / (2 kappa^2)), g the distance along the surface in metres (`zoo.geodesic`), infinite where P has
  nothing; kappa = 0.255 m, so that 30 cm are worth 0.5,
* GPSm = sqrt(GPS * foreground IoU) (detectron2's masked GPS),
* GPSm by part: the same with kappa = `PART_KAPPA` of the true part, as detectron2's evaluation has it: stricter,
* sides = share of T and P with both labels on arms or legs, hands and feet included, whose left is called right or
  right left; torso = share of T and P with both labels on the torso whose front is called back or back front.

Average precision: detections in the order of their scores each take the free person most similar to them, if similar
enough (COCO); 101-point interpolated precision, mean over the thresholds 0.50, 0.55 .. 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.augment import BODY, IGNORE, PARTS, SOMEBODY
from zoo.geodesic import Surface
from zoo.inference import Person

KAPPA = 0.255
# Mean geodesic size of the part's limb in metres, indexed by I (detectron2's DensePoseCocoEval.Mean_Distances).
PART_KAPPA = np.repeat([np.inf, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150], [1, 2, 2, 2, 4, 4, 4, 4, 2])
THRESHOLDS = np.arange(50, 100, 5) / 100
GPS_POINTS = 2000  # pixels per person that stand for all of them

TORSO_BACK, TORSO_FRONT = 1, 2
LEFT_LIMBS = (4, 5, 8, 10, 12, 14, 15, 17, 19, 21)
RIGHT_LIMBS = (3, 6, 7, 9, 11, 13, 16, 18, 20, 22)
_SIDE = np.zeros(256, np.int8)
_SIDE[list(LEFT_LIMBS)], _SIDE[list(RIGHT_LIMBS)] = 1, -1

PERSON_OVERLAP = 0.5  # box IoU from which a detection is about a person
EXCUSED_OVERLAP = 0.5  # share of a detection that lies where unlabelled people are


@dataclass
class Truth:
    """A picture's labels.

    ``label``: uint8 (h, w, 4): I, U, V and P, as in `zoo.augment`; ``boxes``: (n, 4) x0, y0, x1, y1 of the persons
    P = 1..n, None if the map does not tell people apart (P is 1 on everybody); ``ignore_boxes``: people without labels;
    ``complete``: there are no others.
    """

    label: np.ndarray
    boxes: np.ndarray | None
    ignore_boxes: np.ndarray
    complete: bool = True

    def whole(self) -> np.ndarray:
        """I, U, V of everybody; 255 where unlabelled people may be."""
        iuv = self.label[..., :3].copy()
        iuv[self.label[..., 3] >= SOMEBODY] = (IGNORE, 0, 0)
        return iuv

    def person(self, number: int) -> np.ndarray:
        """I, U, V of person 1..n alone: others are background, whatever is 255 stays so."""
        iuv = self.label[..., :3].copy()
        iuv[(self.label[..., 3] != number) & (iuv[..., 0] != IGNORE)] = 0
        return iuv


@dataclass(frozen=True)
class Comparison:
    """One person's or picture's figures; NaN where there is nothing to compare."""

    iou: float
    agreement: float
    du: float
    dv: float
    gps: float
    gpsm: float
    gpsm_part: float
    sides: float
    torso: float
    part_pixels: np.ndarray  # (25,) pixels of T and P by true part
    part_hits: np.ndarray  # (25,) of these with the same part
    view: str  # what the truth shows of the torso: front, back, side, none


def compare(truth: np.ndarray, predicted: np.ndarray, surface: Surface | None = None) -> Comparison:
    """Two maps of the same size; without ``surface`` the geodesic figures are NaN."""
    seen = truth[..., 0] != IGNORE
    t, p = truth[seen], predicted[seen]
    true, found = t[:, 0] > 0, p[:, 0] > 0
    both = true & found
    union = np.count_nonzero(true | found)
    iou = np.count_nonzero(both) / union if union else np.nan

    gps = gps_part = np.nan
    if surface is not None and (true & (t[:, 0] != BODY)).any():
        points = np.flatnonzero(true & (t[:, 0] != BODY))
        points = points[np.linspace(0, len(points) - 1, min(len(points), GPS_POINTS)).astype(int)]
        squared = surface.distance(t[points], p[points]) ** 2
        gps = float(np.exp(-squared / (2 * KAPPA**2)).mean())
        gps_part = float(np.exp(-squared / (2 * PART_KAPPA[t[points, 0]] ** 2)).mean())

    named = both & (t[:, 0] != BODY)
    a, b = t[named], p[named]
    same = a[:, 0] == b[:, 0]
    error = np.abs(a[same, 1:].astype(np.float32) - b[same, 1:]) / 255.0
    limbs = (_SIDE[a[:, 0]] != 0) & (_SIDE[b[:, 0]] != 0)
    torso = (a[:, 0] <= TORSO_FRONT) & (b[:, 0] <= TORSO_FRONT)
    return Comparison(
        iou=iou,
        agreement=_share(same),
        du=float(error[:, 0].mean()) if len(error) else np.nan,
        dv=float(error[:, 1].mean()) if len(error) else np.nan,
        gps=gps,
        gpsm=float(np.sqrt(gps * iou)),
        gpsm_part=float(np.sqrt(gps_part * iou)),
        sides=_share(_SIDE[a[limbs, 0]] != _SIDE[b[limbs, 0]]),
        torso=_share(a[torso, 0] != b[torso, 0]),
        part_pixels=np.bincount(a[:, 0], minlength=PARTS + 1)[: PARTS + 1],
        part_hits=np.bincount(a[same, 0], minlength=PARTS + 1)[: PARTS + 1],
        view=view(t),
    )


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if chosen.size else np.nan


def view(iuv: np.ndarray) -> str:
    """Which side of the torso a map shows: ``front`` or ``back`` if 4 of 5 of its pixels, ``side``, or ``none``."""
    front, back = (np.count_nonzero(iuv[..., 0] == part) for part in (TORSO_FRONT, TORSO_BACK))
    if front + back == 0:
        return "none"
    share = front / (front + back)
    return "front" if share >= 0.8 else "back" if share <= 0.2 else "side"


def compose(people: Sequence[Person], shape: tuple[int, int]) -> np.ndarray:
    """Everybody in one map (h, w, 3); where people overlap the highest score is in front."""
    frame = np.zeros((*shape, 3), np.uint8)
    for person in sorted(people, key=lambda person: person.score):
        # Maps may stick out of the picture.
        x0, y0 = max(person.x, 0), max(person.y, 0)
        iuv = person.iuv[y0 - person.y :, x0 - person.x :][: max(shape[0] - y0, 0), : max(shape[1] - x0, 0)]
        region = frame[y0 : y0 + iuv.shape[0], x0 : x0 + iuv.shape[1]]
        region[iuv[..., 0] > 0] = iuv[iuv[..., 0] > 0]
    return frame


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, 4), (m, 4) -> (n, m) intersection over union."""
    inter = _intersection(first, second)
    union = _area(first)[:, None] + _area(second)[None] - inter
    return inter / np.maximum(union, 1e-9)


def covered(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """(n, 4), (m, 4) -> (n,) largest share of a box that lies in one region, 0 without regions."""
    inside = _intersection(boxes, regions) / np.maximum(_area(boxes), 1e-9)[:, None]
    return inside.max(1, initial=0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)


def _intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return (high - low).clip(0).prod(2)


@dataclass
class Candidates:
    """One picture's detections for `average_precision`: scores (d,), similarity to each person (d, g), and which
    detections (d,) are not counted as wrong when they match nobody."""

    scores: np.ndarray
    similarity: np.ndarray
    excused: np.ndarray


def average_precision(pictures: Sequence[Candidates], thresholds: Sequence[float] = THRESHOLDS) -> float:
    """Mean over ``thresholds`` of COCO's 101-point average precision; NaN if there are no people at all."""
    people = sum(picture.similarity.shape[1] for picture in pictures)
    if not people:
        return np.nan
    return float(np.mean([_precision_at(pictures, threshold, people) for threshold in thresholds]))


def _precision_at(pictures: Sequence[Candidates], threshold: float, people: int) -> float:
    scores, right = [], []
    for picture in pictures:
        free = np.ones(picture.similarity.shape[1], bool)
        for index in np.argsort(-picture.scores, kind="stable"):
            similarity = np.where(free, picture.similarity[index], -1)
            best = int(similarity.argmax()) if free.any() else -1
            matched = best >= 0 and similarity[best] >= threshold
            if matched:
                free[best] = False
            if matched or not picture.excused[index]:
                scores.append(picture.scores[index])
                right.append(matched)
    if not scores:
        return 0.0
    hits = np.array(right)[np.argsort(-np.array(scores), kind="stable")].cumsum()
    recall = hits / people
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # The small number keeps recalls like 0.1 from falling beside the grid by rounding.
    return float(envelope[np.searchsorted(recall, np.linspace(0, 1, 101) - 1e-9)].mean())


def excused(truth: Truth, boxes: np.ndarray) -> np.ndarray:
    """Which detections (d, 4) may be people that are there but not labelled: mostly in an ignore box or, where the
    labels are not complete, not mostly in a labelled person's box."""
    unlabelled = covered(boxes, truth.ignore_boxes) >= EXCUSED_OVERLAP
    if not truth.complete:
        unlabelled |= covered(boxes, truth.boxes) < EXCUSED_OVERLAP
    return unlabelled


def match(iou: np.ndarray, outline: np.ndarray) -> list[int]:
    """Detections (best score first) to people: for each person the detection's row, or -1.

    ``iou``, ``outline`` (d, g): IoU of boxes and of foregrounds. Each detection in turn takes, of the free people whose
    boxes overlap by `PERSON_OVERLAP`, the one with the most similar outline: of two people in each other's arms the
    boxes are nearly equal.
    """
    chosen = [-1] * iou.shape[1]
    for detection in range(iou.shape[0]):
        free = [g for g in range(iou.shape[1]) if chosen[g] < 0 and iou[detection, g] >= PERSON_OVERLAP]
        if free:
            chosen[max(free, key=lambda g: outline[detection, g])] = detection
    return chosen


@dataclass
class PictureResult:
    """One picture's figures: the whole map, each person (missed ones compared with nothing) and the AP candidates."""

    whole: Comparison
    people: list[Comparison]
    found: int
    extra: int
    box: Candidates
    gps: Candidates
    gpsm: Candidates
    gpsm_part: Candidates


def evaluate_picture(truth: Truth, predicted: Sequence[Person], surface: Surface | None, score: float) -> PictureResult:
    """Compares one picture. AP uses all detections, everything else those of at least ``score``."""
    shape = truth.label.shape[:2]
    predicted = sorted(predicted, key=lambda person: -person.score)
    shown = [person for person in predicted if person.score >= score]
    whole = compare(truth.whole(), compose(shown, shape), surface)
    scores = np.array([person.score for person in predicted], np.float64)
    boxes = np.array([person.box for person in predicted], np.float64).reshape(-1, 4)
    if truth.boxes is None:
        nothing = Candidates(scores, np.zeros((len(scores), 0)), np.ones(len(scores), bool))
        return PictureResult(whole, [], 0, 0, nothing, nothing, nothing, nothing)

    iou = box_iou(boxes, truth.boxes)
    similar = np.zeros((3, *iou.shape))
    outline = np.zeros(iou.shape)
    compared: dict[tuple[int, int], Comparison] = {}
    maps = [truth.person(number + 1) for number in range(len(truth.boxes))]
    alone = [compose([person], shape) for person in predicted]
    for d, g in zip(*np.nonzero(iou)):
        window = _window(boxes[d], truth.boxes[g], shape)
        result = compare(maps[g][window], alone[d][window], surface)
        compared[d, g] = result
        outline[d, g] = np.nan_to_num(result.iou)
        similar[:, d, g] = np.nan_to_num([result.gps, result.gpsm, result.gpsm_part])
    free_of_blame = excused(truth, boxes)
    chosen = match(iou[: len(shown)], outline[: len(shown)])
    people = [
        compared[chosen[g], g] if chosen[g] >= 0 else compare(maps[g], np.zeros_like(maps[g]), surface)
        for g in range(len(maps))
    ]
    unmatched = set(range(len(shown))) - set(chosen)
    return PictureResult(
        whole,
        people,
        found=sum(d >= 0 for d in chosen),
        extra=sum(not free_of_blame[d] for d in unmatched),
        box=Candidates(scores, iou, free_of_blame),
        gps=Candidates(scores, similar[0], free_of_blame),
        gpsm=Candidates(scores, similar[1], free_of_blame),
        gpsm_part=Candidates(scores, similar[2], free_of_blame),
    )


def _window(first: np.ndarray, second: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The part of the picture that holds both boxes, with a pixel to spare for rounding."""
    x0, y0 = np.floor(np.minimum(first[:2], second[:2])).astype(int).clip(0) - 1
    x1, y1 = np.ceil(np.maximum(first[2:], second[2:])).astype(int) + 1
    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


FIGURES = ("iou", "agreement", "du", "dv", "gps", "gpsm", "gpsm_part", "sides", "torso")


def mean_figures(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Mean of each of `FIGURES`; every person or picture counts the same, those without a figure not at all."""
    return {name: _mean([getattr(comparison, name) for comparison in comparisons]) for name in FIGURES}


def summarise(results: Sequence[PictureResult]) -> dict:
    """A set's figures.

    ``picture``: `mean_figures` of whole pictures and ``ap``, ``ap_part``: the mean over the thresholds of the share of
    pictures whose GPSm reaches them (AP with a picture as one person). ``people``: the same per person with box and
    DensePose AP, ``found`` (share of people), ``extra`` (wrong detections per picture); None where people are not
    told apart. ``parts``: part -> agreement; ``views``: view -> figures.
    """
    whole = [result.whole for result in results]
    picture = mean_figures(whole)
    picture["ap"] = _reached([comparison.gpsm for comparison in whole])
    picture["ap_part"] = _reached([comparison.gpsm_part for comparison in whole])
    persons = [person for result in results for person in result.people]
    judged = persons or whole
    people = None
    if persons:
        people = mean_figures(persons) | {
            "count": len(persons),
            "found": sum(result.found for result in results) / len(persons),
            "extra": sum(result.extra for result in results) / len(results),
            "box_ap": average_precision([result.box for result in results]),
            "box_ap50": average_precision([result.box for result in results], [0.5]),
            "ap_gps": average_precision([result.gps for result in results]),
            "ap": average_precision([result.gpsm for result in results]),
            "ap_part": average_precision([result.gpsm_part for result in results]),
        }
    pixels = np.array([comparison.part_pixels for comparison in judged]).reshape(-1, PARTS + 1).sum(0)
    hits = np.array([comparison.part_hits for comparison in judged]).reshape(-1, PARTS + 1).sum(0)
    views = {name: [c for c in judged if c.view == name] for name in ("front", "back", "side", "none")}
    return {
        "pictures": len(results),
        "picture": picture,
        "people": people,
        "parts": {part: float(hits[part] / pixels[part]) for part in range(1, PARTS + 1) if pixels[part]},
        "views": {name: mean_figures(found) | {"count": len(found)} for name, found in views.items() if found},
    }


def _reached(values: Sequence[float]) -> float:
    return _mean([(np.nan_to_num(value) >= THRESHOLDS).mean() for value in values])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
