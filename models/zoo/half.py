"""Weights in half precision: a file of half the size, whose runtime expands them once when it loads them.

Each weight becomes float16 with a Cast to float32 behind it; ONNX Runtime folds that when it opens the file, the plugin
before it parses the network. Everything is computed in float32.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 64  # values; a smaller tensor (a bias, a factor) gains nothing


class HalfError(ValueError):
    """A weight that half precision cannot hold; the message names it."""


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with its weights in half precision; `HalfError` where one is too large for it."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants, casts = [], []
    for constant in graph.initializer:
        values = numpy_helper.to_array(constant)
        if constant.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            constants.append(constant)
            continue
        if not np.abs(values).max() < np.finfo(np.float16).max:
            raise HalfError(f"{constant.name}: has values beyond {np.finfo(np.float16).max:.0f}, export without half precision")
        stored = f"{constant.name}_half"
        constants.append(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [constant.name], name=f"{constant.name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    return result


def expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with its weights in float32 again, as the runtimes see it."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    halves = {c.name: c for c in graph.initializer if c.data_type == TensorProto.FLOAT16}
    nodes, floats = [], []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in halves:
            values = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
            floats.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    kept = [c for c in graph.initializer if c.name not in halves]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *floats])
    graph.node.extend(nodes)
    return result
