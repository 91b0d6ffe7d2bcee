"""Writes a network as the plugin reads it: `model.json` and one ONNX file per stage.

    python -m zoo.export CHECKPOINT --config NAME --out DIR
    python -m zoo.export --random --config NAME --out DIR

With --half weights are stored in half precision (`zoo.half`): half the size, read by the plugin and by ONNX Runtime.
The second form writes random weights, for tests of speed.

The trunk takes (1,3,H,W) with symbolic H, W (multiples of 32), the heads (N,C,r,r) with symbolic N; `onnx_writer`
makes the graphs. Every stage is compared with PyTorch in ONNX Runtime before anything is written.
"""

import argparse
import copy
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from zoo import checkpoint
from zoo.config import Config, get_config
from zoo.exported import write_model
from zoo.half import halved
from zoo.network import ParsingRCNN
from zoo.onnx_writer import ExportError, to_onnx
from zoo.pooling import FEATURE_STRIDES
from zoo.random_weights import random_network

FORMAT_VERSION = 1
TOLERANCE = 1e-4  # largest relative rms difference between ONNX Runtime and PyTorch, ...
HALF_TOLERANCE = 4e-3  # ... and with weights in half precision, which are rounded by up to 1 in 2048 each

FEATURES = ["p2", "p3", "p4", "p5"]
LEVELS = [*FEATURES, "p6"]
BOX_OUTPUTS = ["scores", "box_deltas"]
RPN_OUTPUTS = [*(f"objectness_{level}" for level in LEVELS), *(f"deltas_{level}" for level in LEVELS)]
TRUNK_OUTPUTS = [*FEATURES, *RPN_OUTPUTS]
DECODED = "decoded"  # what a decoder makes of the features


class _Trunk(nn.Module):
    def __init__(self, model: ParsingRCNN):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        trunk = self.model.trunk(image)
        return (*trunk.features, *trunk.objectness, *trunk.deltas)


class _BoxHead(nn.Module):
    def __init__(self, model: ParsingRCNN):
        super().__init__()
        self.model = model

    def forward(self, rois: Tensor) -> tuple[Tensor, ...]:
        return self.model.box_head(rois)


class _DensePoseHead(nn.Module):
    def __init__(self, model: ParsingRCNN):
        super().__init__()
        self.model = model

    def forward(self, rois: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.densepose_outputs(rois).values())


def relative_rms(value: np.ndarray, reference: np.ndarray) -> float:
    """Root of the mean squared difference, relative to that of the reference."""
    difference = np.sqrt(np.mean((value.astype(np.float64) - reference) ** 2))
    return float(difference / max(np.sqrt(np.mean(reference.astype(np.float64) ** 2)), 1e-12))


class _Stage(NamedTuple):
    """One file to write."""

    name: str
    module: nn.Module
    input: str
    shape: list[int | str]  # of the input; names are symbolic dimensions
    outputs: list[str]
    trials: list[dict[str, int]]  # values of the symbols to compare at

    def onnx(self, half: bool = False) -> bytes:
        ranks = {name: 2 if name in BOX_OUTPUTS else 4 for name in self.outputs}
        model = to_onnx(self.module, self.input, self.shape, ranks, self.module.model)
        return (halved(model) if half else model).SerializeToString(deterministic=True)


def _verify(stage: _Stage, file: bytes, tolerance: float = TOLERANCE) -> float:
    """Largest relative rms difference between the file in ONNX Runtime and PyTorch; `ExportError` above ``tolerance``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # small inputs; a pool of spinning threads only gets in others' way
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for symbols in stage.trials:
        tensor = torch.randn([symbols.get(side, side) for side in stage.shape], generator=generator)
        values = session.run(stage.outputs, {stage.input: tensor.numpy()})
        for output, value, reference in zip(stage.outputs, values, stage.module(tensor), strict=True):
            if value.shape != tuple(reference.shape):
                raise ExportError(f"{stage.name}: {output} is {value.shape}, PyTorch's is {tuple(reference.shape)}")
            difference = relative_rms(value, reference.numpy())
            if not difference <= tolerance:  # catches NaN, too
                raise ExportError(
                    f"{stage.name}: {output} differs from PyTorch by {difference:.1e} "
                    f"(relative rms; at most {tolerance:.0e})"
                )
            worst = max(worst, difference)
    return worst


def _features(config: Config) -> dict[str, int]:
    """Feature maps that the trunk puts out, and their strides."""
    features = dict(zip(FEATURES, FEATURE_STRIDES))
    return {**features, DECODED: FEATURE_STRIDES[0]} if config.densepose.source == "decoder" else features


def _densepose_pooling(config: Config) -> dict:
    """Where the DensePose head's input is cut from; several levels are chosen from by size, as in the box head."""
    if config.densepose.source == "pyramid":
        size = {"canonical_size": config.box.canonical_size, "canonical_level": config.box.canonical_level}
        return {"features": FEATURES, **size}
    return {"features": [DECODED] if config.densepose.source == "decoder" else FEATURES[:1]}


def manifest(config: Config, outputs: list[str], provenance: dict, licence: str) -> dict:
    """Contents of `model.json` but for the stages' files; `outputs` are the names of what the DensePose head puts out."""
    rpn, box, densepose = config.rpn, config.box, config.densepose
    return {
        "format": "densepose-model",
        "version": FORMAT_VERSION,
        "name": config.name,
        "description": config.description,
        "licence": licence,
        "provenance": provenance,
        "input": {
            "name": "image",
            "channel_order": config.input.channel_order,
            "mean": list(config.input.mean),
            "std": list(config.input.std),
            "short_side": config.input.short_side,
            "max_long_side": config.input.max_long_side,
            "size_divisor": config.input.size_divisor,
        },
        "stages": {},
        "features": [
            {"output": name, "stride": stride, "channels": config.channels}
            for name, stride in _features(config).items()
        ],
        "rpn": {
            "levels": [
                {"objectness": f"objectness_{name}", "deltas": f"deltas_{name}", "stride": stride, "sizes": [size]}
                for name, stride, size in zip(LEVELS, rpn.strides, rpn.sizes, strict=True)
            ],
            "aspect_ratios": list(rpn.aspect_ratios),
            "offset": rpn.offset,
            "box_weights": list(rpn.box_weights),
            "pre_nms_topk": rpn.pre_nms_topk,
            "nms_threshold": rpn.nms_threshold,
            "post_nms_topk": rpn.post_nms_topk,
        },
        "box_head": {
            "input": "rois",
            "features": FEATURES,
            "resolution": box.resolution,
            "sampling_ratio": box.sampling_ratio,
            "aligned": box.aligned,
            "canonical_size": box.canonical_size,
            "canonical_level": box.canonical_level,
            "scores": "scores",
            "deltas": "box_deltas",
            "classes": list(box.classes),
            "box_weights": list(box.box_weights),
            "score_threshold": box.score_threshold,
            "nms_threshold": box.nms_threshold,
            "max_detections": box.max_detections,
        },
        "densepose_head": {
            "input": "rois",
            **_densepose_pooling(config),
            "resolution": densepose.resolution,
            "sampling_ratio": densepose.sampling_ratio,
            "aligned": densepose.aligned,
            **({"margin": densepose.margin} if densepose.margin else {}),
            **({"sure_from": densepose.sure_from} if densepose.sure_from else {}),
            **({name: getattr(densepose, name) for name in ("nms_iou", "nms_shared")} if densepose.nms_iou < 1 else {}),
            **{name: name for name in outputs},
        },
    }


@torch.no_grad()
def export(
    model: ParsingRCNN, out: str | os.PathLike, provenance: dict | None = None, licence: str = "", half: bool = False
) -> dict:
    """Writes `model` to the folder `out` and returns the manifest.

    `provenance` (free-form strings and numbers) and `licence` go into the manifest; ``half`` stores weights in half
    precision. Raises `ExportError` before writing anything.
    """
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model = copy.deepcopy(model).cpu().float().eval()
    box_input = ["N", config.channels, config.box.resolution, config.box.resolution]
    densepose_input = ["N", config.channels, config.densepose.resolution, config.densepose.resolution]
    sides = [{"H": 128, "W": 192}, {"H": 32, "W": 64}]
    densepose_outputs = list(model.densepose_outputs(torch.zeros(densepose_input[1:])[None]))
    trunk_outputs = [*_features(config), *RPN_OUTPUTS]
    stages = [
        _Stage("trunk", _Trunk(model), "image", [1, 3, "H", "W"], trunk_outputs, sides),
        _Stage("box_head", _BoxHead(model), "rois", box_input, BOX_OUTPUTS, [{"N": 1}, {"N": 7}]),
        _Stage("densepose_head", _DensePoseHead(model), "rois", densepose_input, densepose_outputs, [{"N": 1}, {"N": 2}]),
    ]
    files, differences = {}, []
    for stage in stages:
        files[stage.name] = stage.onnx(half)
        differences.append(_verify(stage, files[stage.name], HALF_TOLERANCE if half else TOLERANCE))

    provenance = {
        "parameters": parameters,
        "exporter": f"zoo.export, torch {torch.__version__.partition('+')[0]}",
        "largest_difference": f"{max(differences):.1e} relative rms, ONNX Runtime against PyTorch",
        **(provenance or {}),
    }
    return write_model(out, manifest(config, densepose_outputs, provenance, licence), files)


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of `Config.tuned` as options; unset ones stay the config's."""
    parser.add_argument("--short-side", type=int, help="network input, pixels")
    parser.add_argument("--post-nms-topk", type=int, help="proposals given to the box head")
    parser.add_argument("--nms-threshold", type=float, help="IoU above which the weaker of two persons is dropped")
    parser.add_argument("--score-threshold", type=float, help="persons at or below this score are dropped")


def tuned(config: Config, arguments: argparse.Namespace) -> Config:
    """`config` with the settings given on the command line."""
    return config.tuned(
        arguments.short_side, arguments.post_nms_topk, arguments.nms_threshold, arguments.score_threshold
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("checkpoint", nargs="?", help="file written by zoo.train (or zoo.checkpoint.save)")
    source.add_argument("--random", action="store_true", help="random weights instead")
    parser.add_argument("--config", metavar="NAME", help="the network, where the checkpoint does not say")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--licence", default="", help="licence of the weights, for the manifest")
    parser.add_argument(
        "--provenance", action="append", default=[], metavar="KEY=VALUE", help="for the manifest; may be repeated"
    )
    parser.add_argument("--half", action="store_true", help="store weights in half precision: half the size")
    add_inference_arguments(parser)
    arguments = parser.parse_args()
    if arguments.random and not arguments.config:
        parser.error("--random needs --config")
    try:
        if arguments.random:
            model, provenance = random_network(get_config(arguments.config)), {"weights": "random"}
        else:
            model = checkpoint.load(arguments.checkpoint, arguments.config)
            provenance = {"checkpoint": Path(arguments.checkpoint).name}
        model.config = tuned(model.config, arguments)
        provenance |= dict(entry.partition("=")[::2] for entry in arguments.provenance)
        contents = export(model, arguments.out, provenance, arguments.licence, arguments.half)
    except (ValueError, ExportError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"wrote {arguments.out}: {contents['name']}, {contents['provenance']['parameters']} parameters")


if __name__ == "__main__":
    main()
