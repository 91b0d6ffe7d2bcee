"""Writes a network as the plugin reads it: `model.json` and one ONNX file per stage.

    python -m zoo.export CHECKPOINT --config NAME --out DIR

The trunk takes (1,3,H,W) with symbolic H, W (multiples of 32), the heads (N,C,r,r) with symbolic N. BatchNorm
and fusion weights are folded into convolutions and constants, layers whose output nobody reads are absent, and
only plain operators remain (`OPERATORS`). Every stage is compared with PyTorch in ONNX Runtime before anything is
written.
"""

import argparse
import copy
import hashlib
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from timm.layers import unfreeze_batch_norm_2d
from torch import Tensor, nn
from torch.export import Dim

from zoo import checkpoint
from zoo.config import CONFIGS, Config
from zoo.network import ParsingRCNN
from zoo.pooling import FEATURE_STRIDES

FORMAT_VERSION = 1
OPSET = 18
TOLERANCE = 1e-4  # largest relative rms difference between ONNX Runtime and PyTorch

# What a runtime has to support, and nothing else may slip in.
OPERATORS = {"Add", "Clip", "Concat", "Conv", "ConvTranspose", "Gemm", "HardSigmoid", "HardSwish", "Mul", "Relu"}
OPERATORS |= {"ReduceMean", "GlobalAveragePool", "Reshape", "Flatten", "Resize", "Sigmoid", "Slice"}

FEATURES = ["p2", "p3", "p4", "p5"]
LEVELS = [*FEATURES, "p6"]
TRUNK_OUTPUTS = [*FEATURES, *(f"objectness_{level}" for level in LEVELS), *(f"deltas_{level}" for level in LEVELS)]


class ExportError(RuntimeError):
    """The exported network would not do what the PyTorch network does."""


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
        return tuple(self.model.densepose_head(rois))


def _stage_onnx(stage: nn.Module, example: Tensor, dims: dict[int, Any], name: str, outputs: list[str]) -> bytes:
    """The ONNX file of one stage; `dims` are the symbolic dimensions of its only input, called `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            stage,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=(dims,),
            verbose=False,
        )
    proto = program.model_proto
    _simplify(proto, {axis: str(symbol) for axis, symbol in zip(dims, "HW" if len(dims) == 2 else "N")})
    onnx.checker.check_model(proto, full_check=True)
    unknown = {node.op_type for node in proto.graph.node} - OPERATORS
    if unknown:
        raise ExportError(f"operators that the plugin's runtime may not support: {', '.join(sorted(unknown))}")
    return proto.SerializeToString(deterministic=True)


def _simplify(proto: onnx.ModelProto, symbols: dict[int, str]) -> None:
    """Names the symbolic input dimensions, and drops what a runtime does not need and may stumble over.

    Inferred shapes are expressions of torch's symbols; output dimensions other than channels stay unnamed, so that
    a runtime derives them itself.
    """
    graph = proto.graph
    del graph.value_info[:]
    del proto.metadata_props[:]
    del proto.functions[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    for axis, symbol in symbols.items():
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = symbol
    for output in graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if dim.HasField("dim_param"):
                dim.ClearField("dim_param")
    # torch names its nodes after Python objects; files of equal networks should be equal.
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type.lower()}_{index}"


def relative_rms(value: np.ndarray, reference: np.ndarray) -> float:
    """Root of the mean squared difference, relative to that of the reference."""
    difference = np.sqrt(np.mean((value.astype(np.float64) - reference) ** 2))
    return float(difference / max(np.sqrt(np.mean(reference.astype(np.float64) ** 2)), 1e-12))


def _verify(file: bytes, stage: nn.Module, inputs: list[Tensor], outputs: list[str], name: str) -> float:
    """Largest relative rms difference between the file in ONNX Runtime and `stage`; `ExportError` above tolerance."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    worst = 0.0
    for tensor in inputs:
        expected = stage(tensor)
        values = session.run(outputs, {session.get_inputs()[0].name: tensor.numpy()})
        for output, value, reference in zip(outputs, values, expected, strict=True):
            if value.shape != tuple(reference.shape):
                raise ExportError(f"{name}: {output} is {value.shape}, PyTorch's is {tuple(reference.shape)}")
            difference = relative_rms(value, reference.numpy())
            if not difference <= TOLERANCE:  # catches NaN, too
                raise ExportError(
                    f"{name}: {output} differs from PyTorch by {difference:.1e} (relative rms; at most {TOLERANCE:.0e})"
                )
            worst = max(worst, difference)
    return worst


def manifest(config: Config, hashes: dict[str, str], provenance: dict, licence: str) -> dict:
    """Contents of `model.json`; `hashes` maps stage names to the SHA-256 of their files."""
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
            "channel_order": "RGB",
            "mean": list(config.input.mean),
            "std": list(config.input.std),
            "short_side": config.input.short_side,
            "max_long_side": config.input.max_long_side,
            "size_divisor": config.input.size_divisor,
        },
        "stages": {stage: {"file": f"{stage}.onnx", "sha256": sha256} for stage, sha256 in hashes.items()},
        "features": [
            {"output": name, "stride": stride, "channels": config.channels}
            for name, stride in zip(FEATURES, FEATURE_STRIDES)
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
            "aligned": True,
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
            "features": FEATURES[:1],
            "resolution": densepose.resolution,
            "sampling_ratio": densepose.sampling_ratio,
            "aligned": True,
            "coarse": "coarse",
            "fine": "fine",
            "u": "u",
            "v": "v",
        },
    }


@torch.no_grad()
def export(model: ParsingRCNN, out: str | os.PathLike, provenance: dict | None = None, licence: str = "") -> dict:
    """Writes `model` to the folder `out` and returns the manifest.

    `provenance` (free-form strings and numbers) and `licence` go into the manifest. Each file is replaced as a
    whole and `model.json`, whose hashes make the set valid, last. Raises `ExportError` before writing anything.
    """
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # Frozen BatchNorm is arithmetic to the exporter; as BatchNorm it is folded into the convolutions.
    model = unfreeze_batch_norm_2d(copy.deepcopy(model).cpu().float()).eval()
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    divisor = config.input.size_divisor
    box_shape = (config.channels, config.box.resolution, config.box.resolution)
    densepose_shape = (config.channels, config.densepose.resolution, config.densepose.resolution)
    batch = {0: Dim("n", min=1)}
    sides = {2: divisor * Dim("h", min=1), 3: divisor * Dim("w", min=1)}
    stages = {
        "trunk": (_Trunk(model), sides, "image", TRUNK_OUTPUTS, [(1, 3, 128, 192), (1, 3, 32, 64), (1, 3, 256, 160)]),
        "box_head": (_BoxHead(model), batch, "rois", ["scores", "box_deltas"], [(n, *box_shape) for n in (3, 1, 17)]),
        "densepose_head": (
            _DensePoseHead(model),
            batch,
            "rois",
            ["coarse", "fine", "u", "v"],
            [(n, *densepose_shape) for n in (3, 1, 2)],
        ),
    }
    files, differences = {}, {}
    for name, (stage, dims, input_name, outputs, shapes) in stages.items():
        inputs = [random(*shape) for shape in shapes]
        files[name] = _stage_onnx(stage, inputs[0], dims, input_name, outputs)
        differences[name] = _verify(files[name], stage, inputs, outputs, name)

    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    provenance = {
        "parameters": parameters,
        "exporter": f"zoo.export, torch {torch.__version__.partition('+')[0]}",
        "largest_difference": f"{max(differences.values()):.1e} relative rms, ONNX Runtime against PyTorch",
        **(provenance or {}),
    }
    contents = manifest(config, hashes, provenance, licence)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        _replace(out / f"{name}.onnx", data)
    _replace(out / "model.json", (json.dumps(contents, indent=2) + "\n").encode())
    return contents


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


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
    parser.add_argument("checkpoint", help="file written by zoo.train (or zoo.checkpoint.save)")
    parser.add_argument("--config", choices=CONFIGS, help="the network, where the checkpoint does not say")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--licence", default="", help="licence of the weights, for the manifest")
    parser.add_argument(
        "--provenance", action="append", default=[], metavar="KEY=VALUE", help="for the manifest; may be repeated"
    )
    add_inference_arguments(parser)
    arguments = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        model = checkpoint.load(arguments.checkpoint, arguments.config)
        model.config = tuned(model.config, arguments)
        provenance = {"checkpoint": Path(arguments.checkpoint).name}
        provenance |= dict(entry.partition("=")[::2] for entry in arguments.provenance)
        contents = export(model, arguments.out, provenance, arguments.licence)
    except (checkpoint.CheckpointError, ExportError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"wrote {arguments.out}: {contents['name']}, {contents['provenance']['parameters']} parameters")


if __name__ == "__main__":
    main()
