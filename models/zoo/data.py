"""Training data: labelled pictures on disk -> batches of composed, augmented scenes.

A data folder holds ``index.jsonl``, one JSON object per picture, with

* ``file``: the picture; ``iuv``: a PNG of the same size whose channels in OpenCV's order are I, U, V
  (I: 0 background, 1..24 part, 254 a person's pixel of unknown part, 255 ignore; U, V: 0..255); ``person``: an 8-bit PNG,
  0 nobody, k = the k-th entry of ``boxes``, 255 = no statement. One of the two may be missing: without ``iuv`` outlines
  alone are known, without ``person`` a pixel belongs to the first box that contains it,
* ``boxes``: [x0, y0, x1, y1] of every labelled person, x1 and y1 exclusive; ``ignore_boxes``: people without labels,
* ``complete``: false where people may be missing from both lists, so that nothing there is a negative,
* ``split`` (``train``/``val``), ``source`` (``synthetic`` has exact U, V), ``facing`` (of the main person, or of each),
  ``mask`` (``human``: outlines made by hand), ``quality``: optional,
* ``corrected``: true where U, V are free of the teacher's faults (`zoo.teacher`); else those of photographs are corrected
  when they are drawn for training.

Backgrounds are plain pictures without people, every ``*.jpg``/``*.png`` of a folder; `negatives` are those of things that
are taken for people.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from . import augment, negatives
from .augment import BODY, IGNORE, MAX_PEOPLE, PARTS, SOMEBODY, UNKNOWN
from .dressed import TORSO, UPPER_LEGS, dressed
from .studio import backdrop, shadow
from .teacher import corrected
from .things import thing
from .turned import turned

TEACHER_UV_WEIGHT = 0.1  # U, V of photographs are a network's, off by 0.07 on average; rendered ones are exact
TURNED_SHARE = 0.25  # of the photographs from the front are shown as backs
STUDIO_SHARE = 0.2  # of the scenes show people before a backdrop instead of where they were
ALIKE_SHARE = 0.3  # of these backdrops have the colour of somebody's clothes
BESIDE_SHARE = 0.7  # of the people pasted in stand half in front of somebody, ...
APART = (0.15, 0.8)  # ... this share of where they would only touch away
AS_IT_IS_SHARE = 0.25  # of the views show the whole picture
FAR_SHARE, FAR = 0.25, (0.09, 0.4)  # of the other views show people far away, so tall by the window's height
FAR_TURNED_SHARE = 0.05  # of the views lie on their side or stand on their head, as acrobats and sleepers do
SMALLEST_SIDES = (6, 16)  # a person with a shorter box, by its shorter and longer side, is nobody one could learn from
NEGATIVES_SHARE = 0.5  # of the backgrounds are negatives, where there are any
SMALLEST_VISIBLE = 0.08  # nor is one of whom less than this share is seen
SMALLEST_HEADLESS = 0.25  # nor one whose head is hidden, of less than this: a piece of cloth could be anything's
HEAD = (23, 24)
# (height, width) of training scenes, drawn per batch: small ones are cheap, large ones are what the network gets to see
# (shorter side 256), where people fill pictures that stand upright. Trained on small ones alone it misses those.
SHAPES = [(224, 160), (192, 224), (256, 256), (320, 224), (384, 256), (256, 416)]


@dataclass(frozen=True)
class Scenery:
    """How much happens in scenes, as shares of them (0..1)."""

    dressed: float = 0.5  # of all pictures show somebody in other clothes
    mosaic: float = 0.26  # consist of two or four pictures
    pasted: float = 0.33  # have further people pasted in
    furnished: float = 0.4  # have things behind people
    hidden: float = 0.2  # have things in front of people
    empty: float = 0.3  # show nobody, if there are negatives to show instead


LIVELY = Scenery()  # what a network learns most from
CALM = Scenery(dressed=0.3, mosaic=0.08, pasted=0.25, furnished=0.3, hidden=0.1)  # more like what it will see


class DataError(ValueError):
    """Training data that cannot be used; the message names the file."""


@dataclass(frozen=True)
class Entry:
    """One labelled picture of an index."""

    image: Path
    iuv: Path | None
    person: Path | None
    boxes: tuple[tuple[float, ...], ...]
    ignore_boxes: tuple[tuple[float, ...], ...]
    complete: bool
    synthetic: bool
    split: str
    weight: float  # relative frequency in training
    front: bool = False  # the one person is known to be seen from the front
    teacher_uv: bool = False  # U, V have the teacher's faults
    by_hand: bool = False  # people drew the outlines


@dataclass
class Picture:
    """Pixels and label (channels I, U, V, P as in `augment`) with what is known per person."""

    image: np.ndarray
    label: np.ndarray
    people: int
    uv_weight: float
    rendered: bool = False


@dataclass
class Scene:
    """A finished training picture: image (H, W, 3), label (H, W, 4), and row per person: box, value of P, weight of U, V."""

    image: np.ndarray
    label: np.ndarray
    boxes: np.ndarray
    ids: np.ndarray
    uv_weight: np.ndarray


@dataclass
class Batch:
    """Scenes of one size: images (B, H, W, 3) and labels (B, H, W, 4) uint8, per-scene lists of boxes, ids and weights."""

    images: torch.Tensor
    labels: torch.Tensor
    boxes: list[torch.Tensor]
    ids: list[torch.Tensor]
    uv_weight: list[torch.Tensor]

    def to(self, device: torch.device) -> Batch:
        return Batch(
            self.images.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            *([t.to(device, non_blocking=True) for t in part] for part in (self.boxes, self.ids, self.uv_weight)),
        )


def read_index(folder: str | Path, split: str | None = None) -> list[Entry]:
    """The entries of ``folder/index.jsonl``, optionally of one split; raises `DataError` naming file and line."""
    path = Path(folder) / "index.jsonl"
    try:
        text = path.read_text()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; a data folder needs an index.jsonl") from error
    entries = []
    complete = text[: text.rfind("\n") + 1]  # a line without its end is still being written
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            record = json.loads(line)
            entry = Entry(
                image=path.parent / record["file"],
                iuv=path.parent / record["iuv"] if record.get("iuv") or not record.get("person") else None,
                person=path.parent / record["person"] if record.get("person") else None,
                boxes=tuple(map(tuple, record["boxes"])),
                ignore_boxes=tuple(map(tuple, record.get("ignore_boxes", ()))),
                complete=bool(record["complete"]),
                synthetic=record.get("source") == "synthetic",
                split=record.get("split", "train"),
                weight=_weight(record),
                front=record.get("facing") == "front" and len(record["boxes"]) == 1,
                by_hand=record.get("mask") == "human",
                teacher_uv=record.get("source") != "synthetic" and not record.get("corrected", False),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: {type(error).__name__}: {error}") from error
        if split in (None, entry.split):
            entries.append(entry)
    return entries


def _weight(record: dict) -> float:
    """Rare views and good labels are drawn more often: backs, side views and webcam-like video are a small part of the photos."""
    if record.get("source") == "synthetic":
        return 1.0 if record.get("facing") == "front" else 2.0  # photographs know fronts better than anything rendered
    views = record.get("facing", "front")
    if isinstance(views, list):  # one of each person, none of them posing for the camera
        rare = 1.0 + any(view != "front" for view in views) + 2.0 * any(record.get("headless") or ())
        return rare * (1.5 if record.get("mask") == "human" else 1.0)
    rare = {"front": 1.0, "back": 6.0}.get(views, 3.0)  # what is left is seen from the side, or unclear
    video = 2.0 if "clip" in record else 1.0
    return float(record.get("quality", 1.0)) ** 2 * rare * video


def load(entry: Entry) -> Picture:
    """Reads a picture and its label; raises `DataError` naming the file that is missing, broken or unfit."""
    image = cv2.cvtColor(_read(entry.image, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    iuv = _read(entry.iuv, cv2.IMREAD_COLOR) if entry.iuv else _outlines(entry)
    if iuv.shape != image.shape:
        raise DataError(f"{entry.iuv}: is {iuv.shape[1]}x{iuv.shape[0]}, its picture {image.shape[1]}x{image.shape[0]}")
    if (stray := (iuv[..., 0] > PARTS) & (iuv[..., 0] < BODY)).any():
        raise DataError(f"{entry.iuv}: part {iuv[..., 0][stray][0]}; parts are 0..{PARTS}, {BODY} (unknown part) and {IGNORE} (ignore)")
    if len(entry.boxes) > MAX_PEOPLE:
        raise DataError(f"{entry.image}: {len(entry.boxes)} people, at most {MAX_PEOPLE} are supported")
    person = _whose(entry, iuv[..., 0])
    return Picture(
        image=image,
        label=np.dstack([iuv, person]),
        people=len(entry.boxes),
        uv_weight=1.0 if entry.synthetic else TEACHER_UV_WEIGHT,
        rendered=entry.synthetic,
    )


def _outlines(entry: Entry) -> np.ndarray:
    """The label (h, w, 3) of a picture of which only outlines are known."""
    person = _read(entry.person, cv2.IMREAD_GRAYSCALE)
    iuv = np.zeros((*person.shape, 3), np.uint8)
    iuv[..., 0] = np.where(person == UNKNOWN, IGNORE, np.where(person > 0, BODY, 0))
    return iuv


def _read(path: Path, flags: int) -> np.ndarray:
    data = cv2.imread(str(path), flags)
    if data is None:
        raise DataError(f"{path}: missing, or not a picture that OpenCV can read")
    return data


def _whose(entry: Entry, parts: np.ndarray) -> np.ndarray:
    """The P channel: the pixels' owners where known, `SOMEBODY` in ignore boxes, `UNKNOWN` where nobody looked."""
    whose = np.full(parts.shape, 0 if entry.complete else UNKNOWN, np.uint8)
    for box in entry.boxes:
        whose[_slices(box)] = 0  # what lies beside a labelled person inside the box is known
    for box in entry.ignore_boxes:
        whose[_slices(box)] = SOMEBODY
    if entry.person is not None:
        person = _read(entry.person, cv2.IMREAD_GRAYSCALE)
        stray = (person > len(entry.boxes)) & (person != UNKNOWN)
        if person.shape != parts.shape or stray.any():
            raise DataError(f"{entry.person}: not of its picture's size, or a number beyond its {len(entry.boxes)} boxes")
        person = np.where((person == UNKNOWN) & (whose == SOMEBODY), SOMEBODY, person)
        return np.where(person > 0, person, whose)
    for number in range(len(entry.boxes), 0, -1):
        inside = _slices(entry.boxes[number - 1])
        whose[inside][parts[inside] > 0] = number
    return whose


def _slices(box: tuple[float, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (max(0, round(v)) for v in box)
    return slice(y0, y1), slice(x0, x1)


def person_box(label: np.ndarray, number: int) -> np.ndarray | None:
    """Tight box [x0, y0, x1, y1] of the pixels with P = ``number``; None where there are none."""
    mask = label[..., 3] == number
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


@dataclass
class Canvas:
    """A scene while it is put together from pictures."""

    image: np.ndarray
    label: np.ndarray
    uv_weight: list[float] = field(default_factory=list)
    full_area: list[float] = field(default_factory=list)
    rendered: list[bool] = field(default_factory=list)  # of every picture in it, whether that has its camera's flaws

    @classmethod
    def over(cls, image: np.ndarray) -> Canvas:
        return cls(image, np.zeros((*image.shape[:2], 4), np.uint8))

    def place(self, picture: Picture, matrix: np.ndarray, window: tuple[int, int, int, int], cut_out: bool = False) -> None:
        """Shows a picture through ``window`` (x0, y0, x1, y1), or only its people (``cut_out``); ``matrix`` maps into the window."""
        if len(self.uv_weight) + picture.people > MAX_PEOPLE:
            return
        self.rendered.append(picture.rendered)
        x0, y0, x1, y1 = window
        image, label, seen = augment.warp(picture.image, picture.label, matrix, (y1 - y0, x1 - x0))
        whose = label[..., 3]
        people = augment.labelled(whose)
        zoom = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
        whose[people] += len(self.uv_weight)
        view, marks = self.image[y0:y1, x0:x1], self.label[y0:y1, x0:x1]
        if cut_out:
            seen = people.astype(np.uint8) * 255
            alpha = cv2.merge([cv2.blur(seen, (3, 3))] * 3).astype(np.float32) / 255.0
            view[:] = view + (augment.own_colours(image, seen, max(1, round(zoom))) - view) * alpha + 0.5
        else:
            cv2.copyTo(image, seen, view)
        cv2.copyTo(label, seen, marks)
        for number in range(1, picture.people + 1):
            self.uv_weight.append(picture.uv_weight)
            self.full_area.append(zoom**2 * np.count_nonzero(picture.label[..., 3] == number))

    def cover(self, mask: np.ndarray, image: np.ndarray, behind: bool = False) -> None:
        """Puts something that is no person in front, or ``behind`` whoever may be there: ``image`` where ``mask``."""
        if behind:
            mask = mask & (self.label[..., 3] == 0)
        self.image[mask] = image[mask]
        self.label[mask] = 0

    def finish(self) -> Scene:
        """The scene with the boxes of what is still seen of everybody; hardly visible people become `SOMEBODY`."""
        boxes, ids, weights = [], [], []
        for number, (weight, full) in enumerate(zip(self.uv_weight, self.full_area), 1):
            mask = self.label[..., 3] == number
            box = person_box(self.label, number)
            if box is None:
                continue
            least = SMALLEST_VISIBLE if np.isin(self.label[..., 0][mask], HEAD).any() else SMALLEST_HEADLESS
            short, long = sorted(box[2:] - box[:2])
            if short < SMALLEST_SIDES[0] or long < SMALLEST_SIDES[1] or mask.sum() < least * full:
                self.label[mask] = (IGNORE, 0, 0, SOMEBODY)
                continue
            boxes.append(box)
            ids.append(number)
            weights.append(weight)
        return Scene(
            self.image,
            self.label,
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(ids, np.int64),
            np.array(weights, np.float32),
        )


class Collection:
    """Labelled pictures of several folders, drawn by weight; picks up what is rendered while it is in use.

    ``photos``: folders; ``synthetic``: folder of folders (shards), each with its own index, may still be empty;
    ``backgrounds``: folders of pictures without people, ``negative_folders``: the same with an index, ``cut_outs``: of things
    (`zoo.cutouts`); ``synthetic_share``: how often a rendered picture is drawn
    when there are any; ``scenery``: what `compose` makes of them.
    """

    def __init__(
        self, photos, synthetic=(), backgrounds=(), split="train", synthetic_share=0.5, scenery=LIVELY, negative_folders=(), cut_outs=()
    ):
        self.split = split
        self.scenery = scenery
        self.share = synthetic_share
        self.synthetic_roots = [Path(root) for root in synthetic]
        self.photos = [entry for folder in photos for entry in read_index(folder, split)]
        self.backgrounds = sorted(p for root in backgrounds for p in Path(root).iterdir() if p.suffix in (".jpg", ".png"))
        self.negatives = [path for folder in negative_folders for path in negatives.read_index(folder, split)]
        self.cut_outs = sorted(path for folder in cut_outs for path in Path(folder).glob("*.png"))
        self.synthetic: list[Entry] = []
        self._shards: dict[Path, tuple[int, list[Entry]]] = {}  # size of the index when it was read, its entries
        self.refresh()
        if not self.photos and not self.synthetic:
            folders = ", ".join(map(str, [*photos, *synthetic])) or "(no folder given)"
            raise DataError(f"no labelled {split} pictures in {folders}")
        self._photo_weights = np.cumsum([entry.weight for entry in self.photos])

    def refresh(self) -> None:
        """Reads the shards that have appeared or grown since the last call."""
        for root in self.synthetic_roots:
            for index in sorted({*root.glob("index.jsonl"), *root.glob("*/index.jsonl")}):
                size = index.stat().st_size
                if self._shards.get(index, (None,))[0] != size:
                    self._shards[index] = (size, read_index(index.parent, self.split))
        self.synthetic = [entry for _, entries in self._shards.values() for entry in entries]
        self._synthetic_weights = np.cumsum([entry.weight for entry in self.synthetic])

    def draw(self, rng: np.random.Generator) -> Picture:
        """A picture, now and then with somebody turned or dressed anew."""
        picture = self._draw(rng)
        if picture.people and rng.random() < self.scenery.dressed:
            pattern = self.background(picture.image.shape[:2], rng)
            picture.image = dressed(picture.image, picture.label, int(rng.integers(1, picture.people + 1)), pattern, rng)
        return picture

    def _draw(self, rng: np.random.Generator) -> Picture:
        if self.synthetic and (not self.photos or rng.random() < self.share):
            return load(_drawn(self.synthetic, self._synthetic_weights, rng))
        entry = _drawn(self.photos, self._photo_weights, rng)
        picture = load(entry)
        if entry.teacher_uv:
            picture.label = corrected(picture.label)
        if entry.front and not entry.synthetic and rng.random() < TURNED_SHARE:
            picture = _maybe_turned(picture, rng)
        return picture

    def background(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A random view (height, width, 3) without people; a flat colour where there are no backgrounds."""
        height, width = size
        if self.negatives and (not self.backgrounds or rng.random() < NEGATIVES_SHARE):
            image = self.negative(rng)
        elif self.backgrounds:
            image = _read(self.backgrounds[rng.integers(len(self.backgrounds))], cv2.IMREAD_COLOR)[..., ::-1]
        else:
            return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
        fit = max(height / image.shape[0], width / image.shape[1])
        crop = rng.uniform(0.4, 1.0) / fit  # source pixels per result pixel
        h, w = max(1, round(height * crop)), max(1, round(width * crop))
        y, x = rng.integers(image.shape[0] - h + 1), rng.integers(image.shape[1] - w + 1)
        view = np.ascontiguousarray(image[y : y + h, x : x + w][:, :: rng.choice([-1, 1])])
        return cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA if crop > 1 else cv2.INTER_LINEAR)


    def negative(self, rng: np.random.Generator) -> np.ndarray:
        """One of the negatives, RGB (h, w, 3), whole."""
        return _read(self.negatives[rng.integers(len(self.negatives))], cv2.IMREAD_COLOR)[..., ::-1]

    def cut_out(self, rng: np.random.Generator) -> np.ndarray | None:
        """One of the things with its mask, RGB and 0 or 255 (h, w, 4); None where there are none."""
        if not self.cut_outs:
            return None
        path = self.cut_outs[rng.integers(len(self.cut_outs))]
        thing = _read(path, cv2.IMREAD_UNCHANGED)
        if thing.ndim != 3 or thing.shape[2] != 4:
            raise DataError(f"{path}: has no transparency; make it with zoo.cutouts")
        return cv2.cvtColor(thing, cv2.COLOR_BGRA2RGBA)


def _drawn(entries: list[Entry], cumulative: np.ndarray, rng: np.random.Generator) -> Entry:
    """One of the entries, by the running sum of their weights."""
    return entries[min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1])), len(entries) - 1)]


def compose(collection: Collection, size: tuple[int, int], rng: np.random.Generator) -> Scene:
    """One augmented scene of ``size`` (height, width): nobody, or picture, mosaic or studio with further people; things behind and in front."""
    height, width = size
    scenery = collection.scenery
    empty = bool(collection.negatives) and rng.random() < scenery.empty
    if empty:
        canvas = Canvas.over(negatives.scene(collection, size, rng))
    elif rng.random() < STUDIO_SHARE:
        canvas = _in_studio(_maybe_mirrored(collection.draw(rng), rng), size, rng)
    else:
        canvas = Canvas.over(collection.background(size, rng))
        for window in _windows(height, width, scenery.mosaic, rng):
            if rng.random() < 0.95:  # now and then nobody
                picture = _maybe_mirrored(collection.draw(rng), rng)
                canvas.place(picture, _view(picture, window, rng), window)
    if not empty and rng.random() < scenery.pasted:
        window = (0, 0, width, height)
        for _ in range(int(rng.integers(1, 3))):
            picture = _maybe_mirrored(collection.draw(rng), rng)
            view = _view_beside(picture, canvas, rng) if rng.random() < BESIDE_SHARE else None
            if view is None:
                view = _view(picture, window, rng, anywhere=True)
            canvas.place(picture, view, window, cut_out=True)
    for share, behind in ((scenery.furnished, True), (scenery.hidden, False)):
        if rng.random() < share:
            for _ in range(int(rng.integers(1, 3))):
                canvas.cover(*thing(collection.background(size, rng), rng, collection.cut_out(rng)), behind)
    scene = canvas.finish()
    scene.image = augment.photograph(scene.image, rng, flawed=bool(canvas.rendered) and all(canvas.rendered))
    return scene


def _in_studio(picture: Picture, size: tuple[int, int], rng: np.random.Generator) -> Canvas:
    """The picture's people before a backdrop, on which they may throw a shadow."""
    window = (0, 0, size[1], size[0])
    view = _view(picture, window, rng)
    canvas = Canvas.over(backdrop(size, rng, like=_clothes(picture) if rng.random() < ALIKE_SHARE else None))
    if rng.random() < 0.6:
        people = augment.labelled(picture.label[..., 3]).astype(np.uint8)
        canvas.image = shadow(canvas.image, cv2.warpAffine(people, view, window[2:], flags=cv2.INTER_NEAREST), rng)
    canvas.place(picture, view, window, cut_out=True)
    return canvas


def _clothes(picture: Picture) -> np.ndarray | None:
    """The colour (3,) that torsos and legs of the picture mostly have; None where there are none."""
    worn = picture.image[np.isin(picture.label[..., 0], TORSO + UPPER_LEGS)]
    return np.median(worn, axis=0) if len(worn) else None


def _windows(height: int, width: int, mosaic: float, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """The whole scene or, in a share ``mosaic``, two halves or four quarters with uneven borders, as (x0, y0, x1, y1)."""
    shares = [1 - mosaic, 0.6 * mosaic, 0.16 * mosaic, 0.24 * mosaic]
    layout = rng.choice(["one", "columns", "rows", "quarters"], p=shares)
    xs, ys = [0, width], [0, height]
    if layout in ("columns", "quarters"):
        xs.insert(1, round(width * rng.uniform(0.35, 0.65)))
    if layout in ("rows", "quarters"):
        ys.insert(1, round(height * rng.uniform(0.35, 0.65)))
    return [(x0, y0, x1, y1) for y0, y1 in zip(ys, ys[1:]) for x0, x1 in zip(xs, xs[1:])]


def _maybe_turned(picture: Picture, rng: np.random.Generator) -> Picture:
    """The person from behind where that can be shown; U and V of that side are unknown."""
    behind = turned(picture.image, picture.label, rng)
    return picture if behind is None else Picture(*behind, picture.people, uv_weight=0.0)


def _maybe_mirrored(picture: Picture, rng: np.random.Generator) -> Picture:
    if rng.random() < 0.5:
        picture.image = np.ascontiguousarray(picture.image[:, ::-1])
        picture.label = augment.mirror_label(picture.label)
    return picture


def _view(picture: Picture, window, rng: np.random.Generator, anywhere: bool = False) -> np.ndarray:
    """How the picture is seen in its window: as it is, or one of its people whole at some distance, or close up as webcams see them."""
    width, height = window[2] - window[0], window[3] - window[1]
    if not anywhere and rng.random() < AS_IT_IS_SHARE:
        return _as_it_is(picture, width, height, rng)
    box = person_box(picture.label, int(rng.integers(1, picture.people + 1))) if picture.people else None
    if box is None:
        box = np.array([0, 0, picture.image.shape[1], picture.image.shape[0]], np.float32)
    x0, y0, x1, y1 = box
    tall, wide = y1 - y0, x1 - x0
    if rng.random() < 0.3:  # close up: the upper part of the box, from the head to somewhere between chest and knees
        part = rng.uniform(0.3, 0.8) * tall
        scale = min(height * rng.uniform(0.7, 1.1) / part, 3.0)
        source = (x0 + wide * rng.uniform(0.35, 0.65), y0 + part / 2)
        target = (width * rng.uniform(0.25, 0.75), height * rng.uniform(0.5, 0.65))
    else:
        size = height * (rng.uniform(0.35, 1.1) if rng.random() > FAR_SHARE else math.exp(rng.uniform(*np.log(FAR))))
        scale = min(size / tall, 1.3 * width / wide, 3.0)
        source = ((x0 + x1) / 2, (y0 + y1) / 2)
        reach = [max(0.15, (1.15 - scale * s / full)) / 2 for s, full in ((wide, width), (tall, height))]
        if anywhere:
            reach = [0.5, 0.4]
        target = (width * (0.5 + rng.uniform(-reach[0], reach[0])), height * (0.5 + rng.uniform(-reach[1], reach[1])))
    degrees = rng.uniform(-180, 180) if rng.random() < FAR_TURNED_SHARE else rng.normal(0, 7)
    return augment.view_matrix(scale, degrees, source, target, stretch=math.exp(rng.normal(0, 0.07)))


def _as_it_is(picture: Picture, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """The whole picture, with everybody as small as they are in it, about as large as its window."""
    tall, wide = picture.image.shape[:2]
    fit, fill = sorted((height / tall, width / wide))
    scale = min(fit * (fill / fit) ** rng.uniform(0, 1) * math.exp(rng.normal(0, 0.15)), 3.0)
    target = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    return augment.view_matrix(scale, rng.normal(0, 4), (wide / 2, tall / 2), target, stretch=math.exp(rng.normal(0, 0.07)))


def _view_beside(picture: Picture, canvas: Canvas, rng: np.random.Generator) -> np.ndarray | None:
    """How the picture's first person stands in front of somebody in the scene, as tall and half hiding them; None where nobody is."""
    numbers = rng.permutation(len(canvas.uv_weight)) + 1
    there = next((box for n in numbers if (box := person_box(canvas.label, int(n))) is not None), None)
    box = person_box(picture.label, 1) if picture.people else None
    if there is None or box is None:
        return None
    (x0, y0, x1, y1), (left, top, right, bottom) = box, there
    scale = min((bottom - top) * rng.uniform(0.75, 1.25) / (y1 - y0), 3.0)
    apart = (right - left + scale * (x1 - x0)) / 2 * rng.uniform(*APART) * rng.choice([-1, 1])
    target = ((left + right) / 2 + apart, bottom + rng.normal(0, 0.05) * (bottom - top))
    return augment.view_matrix(scale, rng.normal(0, 5), ((x0 + x1) / 2, y1), target)


class SceneBatches(Dataset):
    """Batch number ``i`` is a function of the seed and ``i`` alone (and of the shards there are), so runs can be resumed."""

    def __init__(self, collection: Collection, batch_size: int, seed: int, shapes=SHAPES, refresh_every: int = 50):
        self.collection = collection
        self.batch_size = batch_size
        self.seed = seed
        self.shapes = shapes
        self.refresh_every = refresh_every
        self.drawn = 0

    def __getitem__(self, index: int) -> Batch:
        cv2.setNumThreads(1)  # parallelism comes from loader processes
        if self.drawn % self.refresh_every == 0:  # every loader counts its own: numbers are shared among processes
            self.collection.refresh()
        self.drawn += 1
        rng = np.random.default_rng((self.seed, index))
        size = self.shapes[rng.integers(len(self.shapes))]
        return collate([compose(self.collection, size, rng) for _ in range(self.batch_size)])


def collate(scenes: list[Scene]) -> Batch:
    return Batch(
        torch.from_numpy(np.stack([s.image for s in scenes])),
        torch.from_numpy(np.stack([s.label for s in scenes])),
        [torch.from_numpy(s.boxes) for s in scenes],
        [torch.from_numpy(s.ids) for s in scenes],
        [torch.from_numpy(s.uv_weight) for s in scenes],
    )


def batches(dataset: SceneBatches, numbers: range, workers: int) -> DataLoader:
    """Loader of the batches of these numbers in order; 0 workers loads in the training process."""
    return DataLoader(
        dataset, batch_size=None, sampler=numbers, num_workers=workers, prefetch_factor=4 if workers else None
    )
