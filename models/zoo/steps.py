"""One forward pass of training: a batch of scenes in, loss terms out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from . import boxes as box_code
from . import losses, targets
from .config import Config, Input
from .data import Batch
from .network import ParsingRCNN, Trunk
from .pooling import pool_box_features, pool_densepose_features

PERSON, BACKGROUND = 0, 1


@dataclass(frozen=True)
class Sampling:
    """How many boxes a step learns from; Faster R-CNN's numbers, smaller where scenes are small."""

    anchors: int = 256  # per scene
    anchor_positive: float = 0.7  # IoU from which an anchor is a person ...
    anchor_negative: float = 0.3  # ... and below which it is not
    anchor_positive_share: float = 0.5
    pre_nms_topk: int = 200  # proposals per level before and per scene after suppression
    post_nms_topk: int = 100
    rois: int = 32  # per scene, for the box head
    roi_positive: float = 0.5
    roi_positive_share: float = 0.35
    near_truth: int = 3  # boxes near everybody's true one that join the proposals ...
    near_jitter: float = 0.12  # ... and their sides' deviation from it
    roi_samples: int = 2  # per bin side where inference adapts to the RoI (up to 4): same means, a fraction of the time
    people: int = 20  # RoIs per batch for the DensePose head, at most; one of each person
    jitter: float = 0.05  # their sides' deviation from the true box, as detected boxes deviate


def normalise(images: Tensor, options: Input) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float (B, 3, H, W) as the network wants it, in channels-last memory."""
    mean, std = (torch.tensor(values, device=images.device) for values in (options.mean, options.std))
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def loss_terms(model: ParsingRCNN, batch: Batch, sampling: Sampling = Sampling()) -> dict[str, Tensor]:
    """All loss terms (unweighted, see `losses.WEIGHTS`) of the network on a batch."""
    config = model.config
    height, width = batch.images.shape[1:3]
    trunk = model.trunk(normalise(batch.images, config.input))
    per_level = [box_code.flatten_rpn(o.float(), d.float()) for o, d in zip(trunk.objectness, trunk.deltas)]
    anchors = box_code.anchors(config.rpn, [tuple(o.shape[-2:]) for o in trunk.objectness], batch.images.device)
    terms = _rpn_terms(config, batch, sampling, per_level, anchors)
    proposals = _proposals(config, sampling, per_level, anchors, height, width)
    terms |= _box_terms(model, batch, sampling, trunk, proposals)
    terms |= _densepose_terms(model, batch, sampling, trunk)
    return terms


def _rpn_terms(config: Config, batch: Batch, sampling: Sampling, per_level, anchors: list[Tensor]) -> dict[str, Tensor]:
    objectness = torch.cat([scores for scores, _ in per_level], dim=1)
    deltas = torch.cat([flat for _, flat in per_level], dim=1)
    anchors = torch.cat(anchors)
    logits, positive, predicted, wanted = [], [], [], []
    for scene, truth in enumerate(batch.boxes):
        states, person = targets.match(
            anchors, truth, batch.labels[scene], sampling.anchor_positive, sampling.anchor_negative, best_for_each=True
        )
        yes, no = targets.sample(states, sampling.anchors, sampling.anchor_positive_share)
        logits.append(objectness[scene, torch.cat([yes, no])])
        positive.append(torch.cat([torch.ones_like(yes), torch.zeros_like(no)]))
        predicted.append(deltas[scene, yes])
        wanted.append(box_code.encode(anchors[yes], truth[person[yes]], config.rpn.box_weights))
    return losses.rpn_losses(*map(torch.cat, (logits, positive, predicted, wanted)))


@torch.no_grad()
def _proposals(config: Config, sampling: Sampling, per_level, anchors, height: int, width: int) -> list[Tensor]:
    """Per scene the best proposals (n, 4), suppressed within each level as at inference."""
    result = []
    for scene in range(len(per_level[0][0])):
        found, scores, levels = [], [], []
        for level, ((objectness, deltas), reference) in enumerate(zip(per_level, anchors)):
            score, best = objectness[scene].topk(min(sampling.pre_nms_topk, objectness.shape[1]))
            decoded = box_code.decode(reference[best], deltas[scene, best], config.rpn.box_weights)
            decoded = box_code.clip(decoded, height, width)
            keep = box_code.nonempty(decoded)
            found.append(decoded[keep])
            scores.append(score[keep])
            levels.append(torch.full((len(found[-1]),), level, device=decoded.device))
        found, scores, levels = map(torch.cat, (found, scores, levels))
        keep = batched_nms(found, scores, levels, config.rpn.nms_threshold)
        result.append(found[keep[: sampling.post_nms_topk]])
    return result


def _box_terms(
    model: ParsingRCNN, batch: Batch, sampling: Sampling, trunk: Trunk, proposals: list[Tensor]
) -> dict[str, Tensor]:
    rois, scenes, classes, wanted, people = [], [], [], [], []
    for scene, (truth, found) in enumerate(zip(batch.boxes, proposals)):
        # detectron2 adds the truth; boxes near it as well, because of who is half hidden few proposals are.
        near = targets.jitter(truth.repeat(sampling.near_truth, 1), sampling.near_jitter, *batch.images.shape[1:3])
        found = torch.cat([found, truth, near])
        states, person = targets.match(found, truth, batch.labels[scene], sampling.roi_positive, sampling.roi_positive)
        yes, no = targets.sample(states, sampling.rois, sampling.roi_positive_share, person)
        rois.append(found[torch.cat([yes, no])])
        scenes.append(torch.full((len(yes) + len(no),), scene, device=found.device))
        classes.append(torch.cat([torch.full_like(yes, PERSON), torch.full_like(no, BACKGROUND)]))
        wanted.append(box_code.encode(found[yes], truth[person[yes]], model.config.box.box_weights))
        people.append(torch.cat([torch.ones_like(yes, dtype=torch.bool), torch.zeros_like(no, dtype=torch.bool)]))
    rois, scenes, classes, wanted, people = map(torch.cat, (rois, scenes, classes, wanted, people))
    config = replace(model.config, box=replace(model.config.box, sampling_ratio=sampling.roi_samples))
    scores, deltas = model.box_head(pool_box_features(config, trunk.features, rois, scenes))
    return losses.box_losses(scores.float(), classes, deltas.float()[people], wanted)


def _densepose_terms(model: ParsingRCNN, batch: Batch, sampling: Sampling, trunk: Trunk) -> dict[str, Tensor]:
    height, width = batch.images.shape[1:3]
    scenes = torch.cat([torch.full((len(b),), i, device=b.device) for i, b in enumerate(batch.boxes)])
    boxes, ids, uv_weight = torch.cat(batch.boxes), torch.cat(batch.ids), torch.cat(batch.uv_weight)
    if not len(boxes):
        return {name: trunk.features[0].sum() * 0.0 for name in ("coarse", "fine", "u", "v")}
    chosen = torch.randperm(len(boxes))[: sampling.people]
    chosen = chosen.to(boxes.device)
    scenes, boxes, ids, uv_weight = scenes[chosen], boxes[chosen], ids[chosen], uv_weight[chosen]
    rois = targets.jitter(box_code.widened(boxes, model.config.densepose.margin), sampling.jitter, height, width)
    output = model.densepose_head(pool_densepose_features(model.config, trunk.features, rois, scenes))
    wanted = targets.densepose_targets(batch.labels, scenes, rois, ids, output.fine.shape[-1])
    return losses.densepose_losses(*(maps.float() for maps in output), wanted, uv_weight)
