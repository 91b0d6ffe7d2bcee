"""Writes the fixtures of all kinds of networks: tiny ones, and what PyTorch computes with them.

    python -m zoo.kinds_fixture [--out ../tests/fixtures/kinds] [NAME ...]

Each folder holds `model.json` and the ONNX files (see `zoo.export`), and `reference.npz` (plain float32 and uint8
arrays, not compressed); together below 300 kB:

    picture                     (h, w, 3) uint8 RGB, drawn here
    p2 .. p5, objectness_p2 .. _p6, deltas_p4 .. _p6    outputs of the trunk; "decoded", too, if there is a decoder
    scores, xywh                (m,), (m, 4) of the persons, best first; whole pixels of the picture
    iuv_0 .. iuv_{m-1}          (h, w, 3) uint8 I, U, V of each person

Made as `zoo.tiny_fixture` makes its network; all follows from the seeds.
"""

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from zoo import inference
from zoo.config import BoxHead, Config, DensePoseHead, Input, Rpn
from zoo.export import FEATURES, LEVELS, export
from zoo.network import ParsingRCNN
from zoo.paper import WC2M
from zoo.random_weights import random_network
from zoo.tiny_fixture import check_margins, draw_picture
from zoo.tiny_fixture import reference as full_reference

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "kinds"
HEIGHT, WIDTH = 84, 117  # resized to 64x89 and padded to 64x96

_INPUT = Input(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), short_side=64, max_long_side=128)
_BGR = replace(_INPUT, channel_order="BGR", mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0))
_RPN = Rpn(sizes=(12, 24, 48, 96, 192), pre_nms_topk=100, post_nms_topk=12)
_BOX = BoxHead(nms_threshold=0.3, canonical_size=48, max_detections=4, resolution=5)
_LINEAR = replace(_BOX, convs=0, fcs=2, fc_channels=24, sampling_ratio=2, aligned=False)


def _config(name: str, description: str, **parts) -> Config:
    return Config(
        name=name, description=f"{description}; detects nothing sensible", **{"input": _INPUT, "rpn": _RPN, **parts}
    )


KINDS = {
    config.name: config
    for config in (
        _config(
            "densepose_rcnn",
            "ResNet on BGR, FPN, linear box head, convolutions on all levels, upsampled charts",
            backbone="tiny_resnet",
            neck="fpn",
            channels=8,
            input=_BGR,
            box=_LINEAR,
            densepose=DensePoseHead(
                source="pyramid",
                resolution=7,
                sampling_ratio=2,
                aligned=False,
                dilations=(),
                body_convs=3,
                body_channels=12,
                upsampling=2,
            ),
        ),
        _config(
            "densepose_rcnn_dl",
            "ResNet on BGR, FPN, decoder, linear box head, ASPP and convolutions with GroupNorm",
            backbone="tiny_resnet",
            neck="fpn",
            channels=8,
            input=_BGR,
            box=_LINEAR,
            densepose=DensePoseHead(
                source="decoder",
                resolution=8,
                sampling_ratio=2,
                aligned=False,
                dilations=(2, 3, 4),
                groups=4,
                body_convs=2,
                upsampling=2,
                coarse_channels=2,
            ),
        ),
        _config(
            "parsing_rcnn",
            "Squeeze-excite, hard swish, edge, mixed and conditional convolutions with TensorFlow's padding, FPN, "
            "convolutional box head, ASPP without pooled branch, non-local block",
            backbone="tiny_various",
            taps=(1, 2, 3, 4),
            tap_at="projection",
            neck="fpn",
            channels=8,
            box=_BOX,
            densepose=DensePoseHead(
                resolution=16,
                dilations=(2, 3, 4),
                pooled_branch=False,
                aspp_channels=12,
                body_channels=12,
                non_local=True,
                body_convs=2,
            ),
        ),
        _config(
            "mobile_parsing_rcnn",
            "BiFPN, convolutional box head, dense ASPP, hourglass, confidences beside the charts",
            backbone="tiny",
            taps=(1, 2, 3, 4),
            channels=8,
            box=_BOX,
            densepose=DensePoseHead(
                resolution=16, dilations=(2, 3, 4), hourglasses=(6,), body_convs=2, confidences=WC2M, coarse_channels=2
            ),
        ),
    )
}
# The first seeds that `check_margins` takes.
SEEDS = {"densepose_rcnn": 0, "densepose_rcnn_dl": 0, "parsing_rcnn": 2, "mobile_parsing_rcnn": 1}


@torch.no_grad()
def reference(model: ParsingRCNN, picture: np.ndarray) -> dict[str, np.ndarray]:
    """What the fixture holds of what PyTorch computes; `ValueError` where rounding could decide what is found."""
    arrays = full_reference(model, picture)
    check_margins(model, arrays, least_levels=2)
    names = [*FEATURES, *(f"objectness_{level}" for level in LEVELS), *(f"deltas_{level}" for level in LEVELS[2:])]
    kept = {name: arrays[name] for name in ("picture", *names, "xywh")}
    kept["scores"] = arrays["detection_scores"]
    if model.config.densepose.source == "decoder":
        resized = inference.resize(picture, model.config.input)
        kept["decoded"] = model.trunk(inference.normalise(resized, model.config.input)).features[4].numpy()
    return kept | {name: values for name, values in arrays.items() if name.startswith("iuv_")}


def make(config: Config, seed: int) -> tuple[ParsingRCNN, dict[str, np.ndarray]]:
    """The network of a kind and its reference."""
    picture = draw_picture(seed, HEIGHT, WIDTH)
    model = random_network(config, seed, picture)
    return model, reference(model, picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"kinds to write (default: {', '.join(KINDS)})")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to (default: tests/fixtures/kinds)")
    arguments = parser.parse_args()
    for name in arguments.names or KINDS:
        for seed in itertools.count(SEEDS.get(name, 0)):
            try:
                model, arrays = make(KINDS[name], seed)
                break
            except ValueError as error:
                print(f"{name}: seed {seed}: {error}")
        out = arguments.out / name
        export(model, out, {"weights": f"random, seed {seed}"}, "MIT OR Apache-2.0")
        np.savez(out / "reference.npz", **arrays)
        size = sum(file.stat().st_size for file in out.iterdir())
        print(f"{name}: seed {seed}, {len(arrays['scores'])} persons, {size} bytes")


if __name__ == "__main__":
    main()
