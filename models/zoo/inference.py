"""Two-stage inference in PyTorch: the reference that evaluation uses and the plugin is compared with.

Follows detectron2's evaluation of Parsing R-CNN: picture -> trunk -> proposals -> boxes -> charts -> IUV maps.
Every step is a function of its own, so that tests can compare stage by stage.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, nms

from zoo import boxes as box_ops
from zoo.config import BoxHead, DensePoseHead, Input, Rpn
from zoo.predictors import DensePoseOutput
from zoo.network import ParsingRCNN, Trunk
from zoo.pooling import pool_box_features, pool_densepose_features


class Person(NamedTuple):
    """One person in the pixels of the original picture."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1, as detected
    score: float  # 0..1
    x: int  # top-left corner of `iuv`
    y: int
    w: int
    h: int
    iuv: np.ndarray  # uint8 (h, w, 3): part 0..24, U and V times 255 (0 at background)


class Detections(NamedTuple):
    """Persons in the pixels of the network's input, best first."""

    boxes: Tensor  # (n, 4)
    scores: Tensor  # (n,)


def input_size(height: int, width: int, config: Input) -> tuple[int, int]:
    """(height, width) a picture is resized to: short side as configured unless the long side gets too long."""
    scale = config.short_side / min(height, width)
    scale = min(scale, config.max_long_side / max(height, width))
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


def resize(rgb: np.ndarray, config: Input) -> np.ndarray:
    """uint8 (h,w,3) -> uint8 at `input_size`, PIL's antialiased BILINEAR (a triangle filter)."""
    height, width = input_size(*rgb.shape[:2], config)
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def normalise(resized: np.ndarray, config: Input) -> Tensor:
    """uint8 RGB (h,w,3) -> float32 (1,3,H,W) in the network's order of channels, padded to a multiple of `size_divisor`.

    Padding is 0, right and bottom.
    """
    mean, std = (torch.tensor(values, dtype=torch.float32).view(3, 1, 1) for values in (config.mean, config.std))
    order = 1 if config.channel_order == "RGB" else -1
    values = np.ascontiguousarray(resized[..., ::order], np.float32)
    image = (torch.from_numpy(values).permute(2, 0, 1) - mean) / std
    height, width = resized.shape[:2]
    return F.pad(image, (0, -width % config.size_divisor, 0, -height % config.size_divisor))[None]


def propose(rpn: Rpn, trunk: Trunk, size: tuple[int, int], image: int = 0) -> tuple[Tensor, Tensor]:
    """Region proposals of one image of the batch: boxes (n,4) and logits (n,), best first.

    `size` is the unpadded (height, width), to which boxes are clipped. Per level: the best `pre_nms_topk`,
    without empty or non-finite boxes, non-maximum suppression; then the best `post_nms_topk` of all levels.
    """
    sizes = [tuple(logits.shape[-2:]) for logits in trunk.objectness]
    kept = []
    for anchors, objectness, deltas in zip(
        box_ops.anchors(rpn, sizes, trunk.objectness[0].device), trunk.objectness, trunk.deltas
    ):
        logits, offsets = box_ops.flatten_rpn(objectness[image : image + 1], deltas[image : image + 1])
        logits, order = logits[0].sort(descending=True, stable=True)
        logits, order = logits[: rpn.pre_nms_topk], order[: rpn.pre_nms_topk]
        boxes = box_ops.decode(anchors[order], offsets[0][order], rpn.box_weights)
        finite = boxes.isfinite().all(1) & logits.isfinite()
        boxes = box_ops.clip(boxes, *size)
        valid = finite & box_ops.nonempty(boxes)
        boxes, logits = boxes[valid], logits[valid]
        keep = nms(boxes, logits, rpn.nms_threshold)
        kept.append((boxes[keep], logits[keep]))
    boxes, logits = (torch.cat(parts) for parts in zip(*kept))
    order = logits.argsort(descending=True, stable=True)[: rpn.post_nms_topk]
    return boxes[order], logits[order]


def select(box: BoxHead, proposals: Tensor, scores: Tensor, deltas: Tensor, size: tuple[int, int]) -> Detections:
    """Box head outputs (n,2), (n,4) on `proposals` -> persons above the score threshold after suppression."""
    probability = scores.softmax(1)[:, box.classes.index("person")]
    boxes = box_ops.decode(proposals, deltas, box.box_weights)
    finite = boxes.isfinite().all(1) & probability.isfinite()
    boxes = box_ops.clip(boxes, *size)
    valid = finite & (probability > box.score_threshold)
    boxes, probability = boxes[valid], probability[valid]
    keep = nms(boxes, probability, box.nms_threshold)[: box.max_detections]
    return Detections(boxes[keep], probability[keep])


def detect(model: ParsingRCNN, features: list[Tensor], proposals: Tensor, size: tuple[int, int]) -> Detections:
    """Second stage on one image: proposals (n,4) -> persons, in pixels of the network's input."""
    scores, deltas = model.box_head(pool_box_features(model.config, features, proposals))
    return select(model.config.box, proposals, scores, deltas, size)


def to_picture(boxes: Tensor, size: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes (n,4) scaled from the network's input `size` to the picture's and clipped."""
    (height, width), (full_height, full_width) = size, original
    x, y = full_width / width, full_height / height
    return box_ops.clip(boxes * boxes.new_tensor([x, y, x, y]), full_height, full_width)


def charts_to_iuv(maps: DensePoseOutput, index: int, width: int, height: int) -> np.ndarray:
    """The `index`-th person's charts -> uint8 (height, width, 3).

    Logits and coordinates are resized bilinearly to the box; part = argmax(fine) where argmax(coarse) > 0.
    """
    coarse, fine, u, v = (
        F.interpolate(values[index : index + 1], (height, width), mode="bilinear", align_corners=False)[0]
        for values in maps
    )
    part = fine.argmax(0) * (coarse.argmax(0) > 0)
    channels = [part.byte()]
    for coordinate in (u, v):
        value = coordinate.gather(0, part[None])[0].nan_to_num().clamp(0, 1)
        channels.append(((value * 255 + 0.5).floor() * (part > 0)).byte())
    return torch.stack(channels, -1).cpu().numpy()


def certainty(maps: DensePoseOutput) -> Tensor:
    """How sure the head is of each person's map, (n,), 0..1: mean probability of the part that a cell shows.

    Of the cells that show one (as in `charts_to_iuv`) every second along both sides is asked; 0 where there is none.
    A box head takes many things for people whose maps are then guesswork; that the quality of the second answer should
    count in the score is the idea of Mask Scoring R-CNN (Huang et al., CVPR 2019).
    """
    coarse, fine = maps.coarse[..., ::2, ::2], maps.fine[..., ::2, ::2]
    probability, part = fine.softmax(1).max(1)
    shows = (coarse.argmax(1) > 0) & (part > 0)
    return (probability * shows).sum((1, 2)) / shows.sum((1, 2)).clamp(min=1)


def repeated(person: Person, better: Person, config: DensePoseHead) -> bool:
    """Whether these are one person: their maps overlap by an IoU of more than `nms_iou`, and more than `nms_shared` of the
    body's pixels of the one are body in the `better` one's too.

    Boxes alone cannot say so: who stands behind somebody is in much the same box, as is half of somebody in that of the whole.
    """
    places = torch.tensor([(p.x, p.y, p.x + p.w, p.y + p.h) for p in (person, better)])
    if float(box_iou(places[:1], places[1:])) <= config.nms_iou:
        return False
    left, top = places[:, :2].amax(0).tolist()
    right, bottom = places[:, 2:].amin(0).tolist()
    ours, theirs = (p.iuv[top - p.y : bottom - p.y, left - p.x : right - p.x, 0] > 0 for p in (person, better))
    return int((ours & theirs).sum()) > config.nms_shared * int((person.iuv[..., 0] > 0).sum())


@torch.no_grad()
def estimate(model: ParsingRCNN, rgb: np.ndarray, given: np.ndarray | None = None) -> list[Person]:
    """Everybody in a picture, uint8 RGB (h,w,3), best first. Settings are those of `model.config`.

    Maps show a little more than the detected boxes (`margin`). The score is the box head's, less where the map is not
    certain (`sure_from`), and who is found twice is left out (`repeated`). With boxes `given` (n,4), in pixels of the
    picture, bodies are mapped there instead, with a score of 1; people are detected all the same, so that pictures with a
    given number of people can be timed with any weights.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"expected a uint8 RGB picture (h, w, 3), got {rgb.dtype} {rgb.shape}")
    model.eval()
    config = model.config
    resized = resize(rgb, config.input)
    size = resized.shape[:2]
    device = next(model.parameters()).device
    trunk = model.trunk(normalise(resized, config.input).to(device))
    proposals, _ = propose(config.rpn, trunk, size)
    detections = detect(model, trunk.features, proposals, size)
    if given is not None:
        scale = [size[1] / rgb.shape[1], size[0] / rgb.shape[0]] * 2
        there = torch.as_tensor(given * np.array(scale), dtype=torch.float32, device=device)
        detections = Detections(there, there.new_ones(len(there)))
    seen = detections.boxes
    if given is None:
        seen = box_ops.clip(box_ops.widened(seen, config.densepose.margin), *size)
    boxes, places = (to_picture(b, size, rgb.shape[:2]) for b in (detections.boxes, seen))
    nonempty = box_ops.nonempty(boxes) & box_ops.nonempty(places)
    if not nonempty.any():
        return []
    boxes, places, scores = boxes[nonempty], places[nonempty], detections.scores[nonempty]
    maps = model.densepose_head(pool_densepose_features(config, trunk.features, seen[nonempty]))
    if given is None and config.densepose.sure_from > 0:
        scores = scores * (certainty(maps) / config.densepose.sure_from).clamp(max=1)
    persons = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        score, (x0, y0, x1, y1) = float(scores[index]), places[index].tolist()
        if given is None and not score > config.box.score_threshold:
            continue
        w, h = max(int(x1 - x0), 1), max(int(y1 - y0), 1)
        person = Person(tuple(boxes[index].tolist()), score, int(x0), int(y0), w, h, charts_to_iuv(maps, index, w, h))
        if given is not None or not any(repeated(person, better, config.densepose) for better in persons):
            persons.append(person)
    return persons
