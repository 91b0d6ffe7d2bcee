"""Writes an exported model with 8-bit weights, and on request 8-bit activations (post-training quantisation).

    python -m zoo.quantize MODEL_DIR --weights-only --out DIR
    python -m zoo.quantize MODEL_DIR --calibration PHOTOS_DIR --out DIR [--limit N]

Weights become int8, symmetric, with one scale for each output channel, and a DequantizeLinear behind each; whoever
runs the model expands them when loading. That is all of --weights-only, which leaves depthwise kernels float: a third
of the size. The plugin computes the pointwise layers of such a model in 8 bits (docs/int8.md), others at float speed.

With --calibration activations become uint8, too: QuantizeLinear and DequantizeLinear around convolutions (QDQ), from
which ONNX Runtime makes integer kernels. Their ranges come from running the model on the calibration pictures: the
trunk on the pictures, the heads on the regions that the model itself cuts out there. Pictures are those of split
`train` of a data folder (`zoo.data`), or every *.jpg and *.png of another folder. Layers that make the network's
outputs keep float activations: scores, box refinements, U and V want more than 8 bits, and these layers cost little.

Sizes stay open as in the float model, and so does everything in `model.json` but name, provenance and hashes.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from torch import Tensor

from zoo import data, inference
from zoo.evaluate import spread
from zoo.exported import ExportedModel, ModelError, write_model
from zoo.half import expanded

STAGES = ("trunk", "box_head", "densepose_head")
SMALLEST_WEIGHT = 256  # values; a smaller tensor gains nothing by being int8
# Fewer values than this for an output channel are a depthwise kernel or the stem's: they are 6 % of the default network's
# weights, but rounding them does three quarters of the damage, as there is nothing over which it averages out.
SMALLEST_KERNEL = 32
MOST_REGIONS = 256  # of each head, for calibration
# Axis of output channels in the weights. Gemm's is transposed (transB) as `onnx_writer` and PyTorch have it.
_CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}
# What ONNX Runtime has integer kernels for; activations in between would otherwise go back and forth.
_INTEGER_OPS = ["Conv", "Gemm", "Add", "Mul", "Relu", "Clip", "Resize", "Concat", "Slice", "GlobalAveragePool", "Flatten"]


class Calibration(NamedTuple):
    """Inputs that a model's stages had on the calibration pictures."""

    inputs: dict[str, list[np.ndarray]]
    pictures: int


class _Recorder(ExportedModel):
    """An exported model that keeps what its stages are given."""

    def __init__(self, directory: str | Path):
        super().__init__(directory)
        self.inputs: dict[str, list[np.ndarray]] = {stage: [] for stage in STAGES}

    def _run(self, stage: str, outputs: list[str], name: str, tensor: Tensor) -> list[Tensor]:
        self.inputs[stage].append(tensor.numpy().copy())
        return super()._run(stage, outputs, name, tensor)


def calibration_pictures(folder: str | Path, limit: int) -> list[Path]:
    """At most `limit` picture files, evenly spread; `ModelError` where there are none."""
    folder = Path(folder)
    if (folder / "index.jsonl").exists():
        files = [entry.image for entry in data.read_index(folder, "train")]
    else:
        files = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".png"))
    if not files:
        raise ModelError(f"{folder}: no pictures to calibrate on; give a data folder or one with *.jpg or *.png")
    return spread(files, limit)


def calibrate(directory: str | Path, pictures: Sequence[Path]) -> Calibration:
    """Runs the model on the pictures; `ModelError` where it finds nobody, as its head then has seen no region."""
    model = _Recorder(directory)
    for path in pictures:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ModelError(f"{path}: missing, or not a picture that OpenCV can read")
        inference.estimate(model, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    for stage in STAGES[1:]:
        regions = [region[None] for batch in model.inputs[stage] for region in batch]
        if not regions:
            raise ModelError(f"{directory}: finds nobody on {len(pictures)} pictures; calibrate on pictures of people")
        model.inputs[stage] = spread(regions, MOST_REGIONS)
    return Calibration(model.inputs, len(pictures))


class _Reader(CalibrationDataReader):
    """Hands out one input after the other."""

    def __init__(self, name: str, arrays: Sequence[np.ndarray]):
        self._entries = iter([{name: array} for array in arrays])

    def get_next(self) -> dict | None:
        return next(self._entries, None)


def _weights(graph: onnx.GraphProto) -> dict[str, int]:
    """Names of the weights to store in 8 bits, with the axis of their output channels."""
    shapes = {c.name: tuple(c.dims) for c in graph.initializer if c.data_type == TensorProto.FLOAT}
    axes: dict[str, set[int | None]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in shapes:
                axes.setdefault(name, set()).add(_channel_axis(node) if position == 1 else None)
    return {
        name: axis
        for name, (axis, *others) in ((name, tuple(found)) for name, found in axes.items())
        if axis is not None and not others and _is_worthwhile(shapes[name], axis)
    }


def _channel_axis(node: onnx.NodeProto) -> int | None:
    """Axis of the output channels in the second input of `node`, if that is a weight."""
    if node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute):
        return None
    return _CHANNEL_AXIS.get(node.op_type)


def _is_worthwhile(shape: tuple[int, ...], axis: int) -> bool:
    values = math.prod(shape)
    is_kernel = math.prod(shape[2:]) > 1
    return values >= SMALLEST_WEIGHT and not (is_kernel and values // shape[axis] < SMALLEST_KERNEL)


def quantize_weights(model: onnx.ModelProto) -> None:
    """Replaces the weights that are still float by int8 with a DequantizeLinear behind each, in place."""
    graph = model.graph
    axes = _weights(graph)
    kept, nodes = [], []
    for constant in graph.initializer:
        if constant.name not in axes:
            kept.append(constant)
            continue
        axis, values = axes[constant.name], numpy_helper.to_array(constant)
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = np.maximum(np.abs(values).max(others), 1e-12).astype(np.float32) / 127
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        rounded = np.rint(values / scale.reshape(shape)).clip(-127, 127).astype(np.int8)
        parts = {"int8": rounded, "scale": scale, "zero": np.zeros(len(scale), np.int8)}
        names = [f"{constant.name}_{suffix}" for suffix in parts]
        kept += [numpy_helper.from_array(array, name) for name, array in zip(names, parts.values())]
        nodes.append(helper.make_node("DequantizeLinear", names, [constant.name], constant.name, axis=axis))
    _replace(graph.initializer, kept)
    _replace(graph.node, [*nodes, *graph.node])


def quantize_activations(model: onnx.ModelProto, inputs: Sequence[np.ndarray], **options) -> onnx.ModelProto:
    """`model` with 8-bit activations by ONNX Runtime's quantiser; the layers that make the outputs are left out."""
    graph = model.graph
    outputs = {output.name for output in graph.output}
    last = [node.name for node in graph.node if node.op_type in _CHANNEL_AXIS and outputs & set(node.output)]
    settings = {
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
        "reduce_range": False,
        "calibrate_method": CalibrationMethod.MinMax,
        "op_types_to_quantize": _INTEGER_OPS,
        "nodes_to_exclude": last,
    } | options
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        logger = logging.getLogger()
        level = logger.level
        logger.setLevel(logging.ERROR)  # it advises preprocessing, which the exporter has done
        try:
            quantize_static(model, path, _Reader(graph.input[0].name, inputs), QuantFormat.QDQ, **settings)
        finally:
            logger.setLevel(level)
        return onnx.load(path)


def _replace(field, values: Sequence) -> None:
    """Sets a repeated field of a protocol buffer."""
    values = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(values)


def quantize(directory: str | Path, out: str | Path, calibration: Calibration | None = None, **options) -> dict:
    """Writes the model in `directory` to the folder `out` in 8 bits and returns the manifest.

    Without `calibration` only weights are quantised. `options` go to ONNX Runtime's `quantize_static`. Raises
    `ModelError` where the model cannot be read or is quantised already.
    """
    directory, out = Path(directory), Path(out)
    ExportedModel(directory)  # whole, with the right hashes, and runs
    manifest = json.loads((directory / "model.json").read_text())
    if out.resolve() == directory.resolve():
        raise ModelError(f"{out}: would overwrite the float model; give another folder")
    files, before = {}, 0
    for stage in STAGES:
        path = directory / manifest["stages"][stage]["file"]
        model = expanded(onnx.load(path))
        before += model.ByteSize()
        if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
            raise ModelError(f"{path}: is quantised already; quantise the float model")
        if calibration:
            model = quantize_activations(model, calibration.inputs[stage], **options)
        quantize_weights(model)
        files[stage] = model.SerializeToString(deterministic=True)

    kind = f"uint8 activations, calibrated on {calibration.pictures} pictures" if calibration else "float activations"
    manifest["name"] += "-int8" if calibration else "-w8"
    manifest["provenance"] |= {
        "quantised": f"int8 weights per channel, {kind}",
        "quantiser": f"zoo.quantize, onnxruntime {onnxruntime.__version__}",
        "float_bytes": before,
        "float_trunk_sha256": manifest["stages"]["trunk"]["sha256"],
    }
    return write_model(out, manifest, files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model directory with float networks, written by zoo.export")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--calibration", metavar="DIR", help="pictures of people like those the model is for")
    kind.add_argument("--weights-only", action="store_true", help="leave activations float")
    parser.add_argument("--limit", type=int, default=64, help="pictures to calibrate on (default 64; 0 = all)")
    parser.add_argument("--out", required=True, help="folder to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        calibration = None
        if arguments.calibration:
            calibration = calibrate(arguments.model, calibration_pictures(arguments.calibration, arguments.limit))
        manifest = quantize(arguments.model, arguments.out, calibration)
    except (ModelError, data.DataError, OSError) as error:
        sys.exit(f"error: {error}")
    size = sum((Path(arguments.out) / stage["file"]).stat().st_size for stage in manifest["stages"].values())
    print(f"wrote {arguments.out}: {manifest['name']}, {size} bytes; in float {manifest['provenance']['float_bytes']}")


if __name__ == "__main__":
    main()
