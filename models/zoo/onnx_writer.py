"""A PyTorch module as a plain ONNX graph, for runtimes that want no shape arithmetic and no training layers.

The module is traced by torch.fx. Whatever depends on weights alone is computed here and stored as a constant
(BiFPN's fusion weights, slices of a kernel); BatchNorm is folded into the convolution before it. Only the operations
of `_MODULES`, `_FUNCTIONS` and `_METHODS` are known; to support another one, add how it is written there.
"""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from timm.layers.norm_act import FrozenBatchNormAct2d
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zoo.bifpn import Fusion

OPSET = 17
IR_VERSION = 8
_NORMS = (nn.BatchNorm2d, FrozenBatchNormAct2d)


class ExportError(RuntimeError):
    """The network cannot be exported, or would not do what it does in PyTorch."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, as opposed to one that is known on export."""

    name: str


@dataclass
class _Convolution:
    """A convolution already written, while BatchNorm may still be folded into it."""

    node: onnx.NodeProto
    weight: Tensor
    bias: Tensor
    channel_axis: int  # of output channels in the weight


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, (*_NORMS, Fusion)) or super().is_leaf_module(module, name)


class _Writer:
    """Nodes and constants of the graph written so far."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.convolutions: dict[str, _Convolution] = {}

    def op(self, kind: str, *inputs: Value | Tensor | np.ndarray | None, **attributes: Any) -> Value:
        """Appends a node; tensors among its inputs become constants, None an absent optional input."""
        output = f"{kind.lower()}_{len(self.nodes)}"
        names = [self._name(value, f"{output}_{index}") for index, value in enumerate(inputs)]
        self.nodes.append(helper.make_node(kind, names, [output], name=output, **attributes))
        return Value(output)

    def _name(self, value: Value | Tensor | np.ndarray | None, constant: str) -> str:
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), constant))
        return constant

    def convolution(self, kind: str, x: Value, weight: Tensor, bias: Tensor | None, layer: Any) -> Value:
        """Conv or ConvTranspose with the geometry of `layer`; its constants are written by `finish`."""
        padding = layer.padding * 2  # begin and end of both axes
        attributes = {"strides": layer.stride, "pads": padding, "dilations": layer.dilation, "group": layer.groups}
        axis = 1 if kind == "ConvTranspose" else 0
        bias = weight.new_zeros(weight.shape[axis] * (layer.groups if axis else 1)) if bias is None else bias
        output = self.op(kind, x, kernel_shape=list(weight.shape[2:]), **attributes)
        self.convolutions[output.name] = _Convolution(self.nodes[-1], weight.detach(), bias.detach(), axis)
        return output

    def norm(self, x: Value, layer: nn.Module) -> Value:
        """BatchNorm with running statistics: y = x * scale + shift."""
        scale = layer.weight * torch.rsqrt(layer.running_var + layer.eps)
        shift = layer.bias - layer.running_mean * scale
        convolution = self.convolutions.get(x.name)
        if convolution is None or convolution.node is not self.nodes[-1]:
            raise ExportError("a BatchNorm that does not follow its convolution cannot be folded")
        shape = [1] * convolution.weight.dim()
        shape[convolution.channel_axis] = -1
        convolution.weight = convolution.weight * scale.reshape(shape)
        convolution.bias = convolution.bias * scale + shift
        return activation(self, x, layer.act) if hasattr(layer, "act") else x

    def finish(self) -> None:
        """Writes the convolutions' final weights."""
        for name, convolution in self.convolutions.items():
            for suffix, value in (("weight", convolution.weight), ("bias", convolution.bias)):
                convolution.node.input.append(self._name(value, f"{name}_{suffix}"))


def activation(writer: _Writer, x: Value, layer: nn.Module) -> Value:
    """The activation inside timm's BatchNorm layers."""
    try:
        return _MODULES[type(layer)](writer, layer, x)
    except KeyError:
        raise ExportError(f"no ONNX form known for {type(layer).__name__}") from None


def _clip(writer: _Writer, _: nn.Module, x: Value) -> Value:
    return writer.op("Clip", x, np.float32(0), np.float32(6))


def _pool(writer: _Writer, layer: nn.AdaptiveAvgPool2d, x: Value) -> Value:
    if layer.output_size not in (1, (1, 1)):
        raise ExportError(f"average pooling to {layer.output_size} is not supported, only to 1")
    return writer.op("GlobalAveragePool", x)


def _fusion(writer: _Writer, layer: Fusion, *inputs: Value) -> Value:
    terms = [writer.op("Mul", x, factor) for x, factor in zip(inputs, layer.factors().reshape(-1, 1, 1, 1, 1))]
    total = terms[0]
    for term in terms[1:]:
        total = writer.op("Add", total, term)
    return total


_MODULES = {
    nn.Conv2d: lambda w, layer, x: w.convolution("Conv", x, layer.weight, layer.bias, layer),
    nn.ConvTranspose2d: lambda w, layer, x: w.convolution("ConvTranspose", x, layer.weight, layer.bias, layer),
    nn.Linear: lambda w, layer, x: w.op("Gemm", x, layer.weight, layer.bias, transB=1),
    nn.ReLU: lambda w, layer, x: w.op("Relu", x),
    nn.ReLU6: _clip,
    nn.Identity: lambda w, layer, x: x,
    nn.AdaptiveAvgPool2d: _pool,
    nn.BatchNorm2d: lambda w, layer, x: w.norm(x, layer),
    FrozenBatchNormAct2d: lambda w, layer, x: w.norm(x, layer),
    Fusion: _fusion,
}


class _Unit:
    """Geometry of a functional convolution called without options."""

    stride, padding, dilation, groups = (1, 1), (0, 0), (1, 1), 1


def _slice(writer: _Writer, x: Value, index: tuple) -> Value:
    """x[..., a:b:c, ...]: slices counted from the last axis."""
    if index[0] is not Ellipsis or not all(isinstance(part, slice) for part in index[1:]):
        raise ExportError(f"indexing with {index} is not supported, only slices of the last axes")
    parts = index[1:]
    starts = np.array([part.start or 0 for part in parts])
    ends = np.array([np.iinfo(np.int64).max if part.stop is None else part.stop for part in parts])
    axes = np.arange(4 - len(parts), 4)
    return writer.op("Slice", x, starts, ends, axes, np.array([part.step or 1 for part in parts]))


def _upsample(writer: _Writer, x: Value, size=None, scale_factor=None, mode="nearest", **_: Any) -> Value:
    if mode != "nearest" or size is not None:
        raise ExportError(f"resizing {mode!r} to size {size} is not supported, only 'nearest' by a factor")
    scales = np.array([1, 1, scale_factor, scale_factor], np.float32)
    attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return writer.op("Resize", x, None, scales, mode="nearest", **attributes)


_FUNCTIONS = {
    F.relu: lambda w, x, inplace=False: w.op("Relu", x),
    F.conv2d: lambda w, x, weight, bias=None: w.convolution("Conv", x, weight, bias, _Unit),
    F.interpolate: _upsample,
    torch.cat: lambda w, values, axis: w.op("Concat", *values, axis=axis),
    operator.add: lambda w, a, b: w.op("Add", a, b),
    operator.mul: lambda w, a, b: w.op("Mul", a, b),
    operator.getitem: _slice,
}

_METHODS = {"flatten": lambda w, x, axis: w.op("Flatten", x, axis=axis)}


def _contains_value(arguments: Any) -> bool:
    if isinstance(arguments, (tuple, list)):
        return any(_contains_value(argument) for argument in arguments)
    return isinstance(arguments, Value)


def _write(writer: _Writer, root: nn.Module, graph: fx.Graph, name: str) -> tuple[Value, ...]:
    """Writes every node of the traced graph; what involves no graph value is simply computed."""
    known: dict[fx.Node, Any] = {}
    outputs: Any = ()
    for node in graph.nodes:
        arguments = fx.map_arg(node.args, known.__getitem__)
        options = fx.map_arg(node.kwargs, known.__getitem__)
        if node.op == "placeholder":
            known[node] = Value(name)
        elif node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(root)
        elif node.op == "output":
            outputs = arguments[0]
        elif node.op == "call_module":
            module = root.get_submodule(node.target)
            write = _MODULES.get(type(module))
            known[node] = _call(write, type(module).__name__, writer, module, *arguments, **options)
        elif not _contains_value(arguments):
            target = node.target if node.op == "call_function" else getattr(Tensor, node.target)
            known[node] = target(*arguments, **options)
        else:
            table = _FUNCTIONS if node.op == "call_function" else _METHODS
            title = getattr(node.target, "__name__", node.target)
            known[node] = _call(table.get(node.target), title, writer, *arguments, **options)
    return tuple(outputs)


def _call(write: Any, title: str, *arguments: Any, **options: Any) -> Value:
    if write is None:
        raise ExportError(f"no ONNX form known for {title}; add it to zoo.onnx_writer")
    return write(*arguments, **options)


@torch.no_grad()
def to_onnx(module: nn.Module, name: str, shape: list[int | str], outputs: dict[str, int]) -> onnx.ModelProto:
    """The graph of a module with one input, called `name`, and several outputs, all of them float32.

    `shape` may name symbolic dimensions. `outputs` maps the names of the outputs, in order, to their number of
    axes; their dimensions stay open for the runtime to derive. Raises `ExportError` for what cannot be written.
    """
    module = module.eval()
    graph = _Tracer().trace(module)
    writer = _Writer()
    values = _write(writer, module, graph, name)
    writer.finish()
    renamed = dict(zip((value.name for value in values), outputs, strict=True))
    for node in writer.nodes:
        node.input[:] = [renamed.get(value, value) for value in node.input]
        node.output[:] = [renamed.get(value, value) for value in node.output]
    proto = helper.make_model(
        helper.make_graph(
            writer.nodes,
            "densepose",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * rank) for n, rank in outputs.items()],
            writer.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="densepose zoo",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto
