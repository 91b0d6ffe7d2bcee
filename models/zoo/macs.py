"""How many multiplications with additions (MACs) an ONNX network takes: those of its convolutions and matrix products.

Counted as the plain sums have them, whatever tricks a runtime knows (Winograd's algorithm needs fewer).
"""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from onnx import shape_inference


def count(file: str | Path, shape: list[int]) -> int:
    """MACs of the network in `file` on an input of this shape; `ValueError` where a length cannot be derived."""
    model = onnx.load(str(file))
    for dimension, length in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = length
    graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {constant.name: list(constant.dims) for constant in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    return sum(_macs(node, shapes) for node in graph.node)


def _macs(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    if node.op_type == "Conv":  # weight (out, in / groups, *kernel): a sum for each number of the result
        numbers, terms = shapes.get(node.output[0]), shapes.get(node.input[1], [])[1:]
    elif node.op_type == "ConvTranspose":  # weight (in, out / groups, *kernel): each number of the input goes into sums
        numbers, terms = shapes.get(node.input[0]), shapes.get(node.input[1], [])[1:]
    elif node.op_type in ("Gemm", "MatMul"):  # sums as long as a row of the first factor
        numbers, terms = shapes.get(node.output[0]), shapes.get(node.input[0], [])[-1:]
    else:
        return 0
    macs = math.prod(numbers or [0]) * math.prod(terms or [0])
    if not macs:
        raise ValueError(f"{node.op_type} {node.name}: lengths are unknown for this input")
    return macs
