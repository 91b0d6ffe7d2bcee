"""Writes the fixture of the plugin's tests: a tiny network and what PyTorch computes with it, stage by stage.

    python -m zoo.tiny_fixture [--out ../tests/fixtures/tiny] [--seed N]

Writes `model.json` and the ONNX files (see `zoo.export`; below 500 kB), `picture.png`, and `reference.npz` (below
1 MB; plain float32 and uint8 arrays, little endian, C order, not compressed):

    picture          (h, w, 3) uint8 RGB, drawn here
    resized          (h', w', 3) uint8, the picture at the network's input size
    input            (1, 3, H, W) normalised and padded
    p2 .. p5, objectness_p2 .. _p6, deltas_p2 .. _p6    outputs of the trunk
    proposals, proposal_logits                          (n, 4), (n,) best first
    box_rois, box_scores, box_deltas                    (n, C, 7, 7), (n, 2) logits, (n, 4)
    detections, detection_scores                        (m, 4) in input pixels, (m,) best first
    densepose_rois                                      (m, C, 16, 16)
    coarse, fine, u, v                                  (1, channels, 32, 32) of the first person
    boxes, xywh                                         (m, 4) in the picture's pixels; whole numbers in xywh
    iuv_0 .. iuv_{m-1}                                  (h, w, 3) uint8 I, U, V of each person

Weights are random; normalisation and output layers are calibrated on the picture, so that boxes of different sizes
with different scores come out. Everything follows from the seed. `check_margins` refuses seeds where rounding
could decide what is found.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.ops import box_iou

from zoo import inference
from zoo.boxes import decode
from zoo.config import CONFIGS
from zoo.export import FEATURES, LEVELS, export
from zoo.network import ParsingRCNN
from zoo.pooling import assign_levels, pool_box_features, pool_densepose_features
from zoo.random_weights import random_network

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "tiny"
SEED = 89
HEIGHT, WIDTH = 135, 187  # resized to 96x133 and padded to 96x160
CHARTS = 1  # persons whose raw charts are stored


def draw_picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 (height, width, 3): a gradient with ellipses and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    picture = np.stack([x / width, y / height, 1 - x / width], -1) * 120 + 40
    for _ in range(9):
        centre = rng.uniform(0, (width, height))
        radius = rng.uniform(8, 36, 2)
        inside = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1
        picture[inside] = rng.uniform(0, 255, 3)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


@torch.no_grad()
def reference(model: ParsingRCNN, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Everything PyTorch computes on the way from `picture` to IUV maps; keys as in the module's description."""
    config = model.config
    resized = inference.resize(picture, config.input)
    image, size = inference.normalise(resized, config.input), resized.shape[:2]
    trunk = model.trunk(image)
    proposals, logits = inference.propose(config.rpn, trunk, size)
    box_rois = pool_box_features(config, trunk.features, proposals)
    box_scores, box_deltas = model.box_head(box_rois)
    detections = inference.select(config.box, proposals, box_scores, box_deltas, size)
    densepose_rois = pool_densepose_features(config, trunk.features, detections.boxes)
    charts = model.densepose_head(densepose_rois)
    persons = inference.estimate(model, picture)

    arrays = {"picture": picture, "resized": resized, "input": image}
    arrays |= {name: feature for name, feature in zip(FEATURES, trunk.features)}
    arrays |= {f"objectness_{name}": values for name, values in zip(LEVELS, trunk.objectness)}
    arrays |= {f"deltas_{name}": values for name, values in zip(LEVELS, trunk.deltas)}
    arrays |= {"proposals": proposals, "proposal_logits": logits}
    arrays |= {"box_rois": box_rois, "box_scores": box_scores, "box_deltas": box_deltas}
    arrays |= {"detections": detections.boxes, "detection_scores": detections.scores}
    arrays |= {"densepose_rois": densepose_rois}
    arrays |= {name: values[:CHARTS] for name, values in charts._asdict().items()}
    arrays["boxes"] = np.array([person.box for person in persons], np.float32)
    arrays["xywh"] = np.array([(person.x, person.y, person.w, person.h) for person in persons], np.float32)
    arrays |= {f"iuv_{index}": person.iuv for index, person in enumerate(persons)}
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def check_margins(model: ParsingRCNN, arrays: dict[str, np.ndarray], least_levels: int = 3) -> None:
    """`ValueError` where the fixture is dull (few or equal boxes or levels) or a decision hangs on rounding."""
    config = model.config
    proposals, scores = torch.from_numpy(arrays["proposals"]), torch.from_numpy(arrays["detection_scores"])
    box = config.box
    decoded = decode(proposals, torch.from_numpy(arrays["box_deltas"]), box.box_weights)
    probability = torch.from_numpy(arrays["box_scores"]).softmax(1)[:, 0]
    overlaps = box_iou(decoded, decoded)[probability > box.score_threshold]
    sides = arrays["xywh"][:, 2:]
    gaps = {
        "proposal logits": -np.diff(arrays["proposal_logits"]),
        "detection scores": -np.diff(scores.numpy()),
        "score threshold": (probability - box.score_threshold).abs().numpy(),
        "suppression of persons": (overlaps - box.nms_threshold).abs().numpy(),
        # Whole pixels of boxes are cut off, not rounded.
        "pixel of a box": np.abs(arrays["boxes"] - np.round(arrays["boxes"]))[arrays["boxes"] % 1 != 0],
    }
    for name, gap in gaps.items():
        if gap.size and gap.min() < 1e-3:
            raise ValueError(f"{name}: two values are within {gap.min():.1e}; take another seed")
    levels = assign_levels(proposals, box.canonical_size, box.canonical_level)
    if len(levels.unique()) < least_levels or not 3 <= len(scores) <= 6 or sides.max() < 2 * sides.min():
        raise ValueError(
            f"{len(scores)} persons with sides {sides.tolist()}, proposals on levels {levels.unique().tolist()}: "
            "too plain a fixture; take another seed"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write (default: tests/fixtures/tiny)")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    arguments = parser.parse_args()
    picture = draw_picture(arguments.seed)
    model = random_network(CONFIGS["tiny"], arguments.seed, picture)
    arrays = reference(model, picture)
    check_margins(model, arrays)
    export(model, arguments.out, {"weights": f"random, seed {arguments.seed}"}, "MIT OR Apache-2.0")
    np.savez(arguments.out / "reference.npz", **arrays)
    Image.fromarray(picture).save(arguments.out / "picture.png")
    for score, (x, y, w, h) in zip(arrays["detection_scores"], arrays["xywh"].astype(int).tolist()):
        print(f"person {score:.3f} at {x},{y} {w}x{h}")


if __name__ == "__main__":
    main()
