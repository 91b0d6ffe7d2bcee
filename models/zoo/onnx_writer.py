"""A PyTorch module as a plain ONNX graph, for runtimes that want no shape arithmetic and no training layers.

The module is traced by torch.fx. Whatever depends on weights alone is computed here and stored as a constant
(BiFPN's fusion weights, slices of a kernel); BatchNorm is folded into the convolution before it. Constants that are a
parameter, or one with BatchNorm folded into it, have its name, and what folding loses is noted, so that `zoo.onnx_weights`
can read the weights back. Only the operations
of `_MODULES`, `_FUNCTIONS` and `_METHODS` are known; to support another one, add how it is written there.
"""

import base64
import json
import operator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from timm.layers.cond_conv2d import CondConv2d
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.mixed_conv2d import MixedConv2d
from timm.layers.norm_act import FrozenBatchNormAct2d
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from zoo.bifpn import Fusion

OPSET = 17
IR_VERSION = 8
NOTES = "weights"  # key of the model's metadata
_NORMS = (nn.BatchNorm2d, FrozenBatchNormAct2d, FrozenBatchNorm2d)


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
    weight_node: onnx.NodeProto  # what takes the weight: the convolution itself unless its weight is computed
    weight: Tensor
    bias: Tensor
    channel_axis: int  # of output channels in the weight
    names: tuple[str | None, str | None]  # of weight and bias where they are parameters


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in _MODULES or super().is_leaf_module(module, name)


class _Writer:
    """Nodes and constants of the graph written so far."""

    def __init__(self, parameters: dict[int, str] | None = None):
        self.parameters = parameters or {}  # name by identity
        self.notes: dict[str, Any] = {}  # what the weights alone do not say: see `zoo.onnx_weights`
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.convolutions: dict[str, _Convolution] = {}
        self.mixtures: dict[str, list[Value]] = {}  # outputs of convolutions, by what concatenates them

    def op(self, kind: str, *inputs: Value | Tensor | np.ndarray | float | None, **attributes: Any) -> Value:
        """Appends a node; tensors and numbers among its inputs become constants, None an absent optional input."""
        output = f"{kind.lower()}_{len(self.nodes)}"
        names = [self._name(value, f"{output}_{index}") for index, value in enumerate(inputs)]
        self.nodes.append(helper.make_node(kind, names, [output], name=output, **attributes))
        return Value(output)

    def _name(self, value: Value | Tensor | np.ndarray | float | None, constant: str) -> str:
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        constant = self.parameters.get(id(value), constant)
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        array = np.float32(array) if isinstance(array, float) else array
        for known in self.constants:
            if known.name == constant:  # a layer that runs on several levels
                if not np.array_equal(numpy_helper.to_array(known), array):
                    raise ExportError(f"{constant} is needed in two forms")
                return constant
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), constant))
        return constant

    def cut(self, whole: Any, piece: Any) -> None:
        """Names a slice of a parameter after it and its number: a kernel in pieces, in order."""
        if name := self.parameters.get(id(whole)):
            number = sum(known.startswith(f"{name}/") for known in self.parameters.values())
            self.parameters[id(piece)] = f"{name}/{number}"

    def convolution(self, kind: str, x: Value, weight: Tensor, bias: Tensor | None, layer: Any) -> Value:
        """Conv or ConvTranspose with the geometry of `layer`; its constants are written by `finish`."""
        axis = 1 if kind == "ConvTranspose" else 0
        names = (self.parameters.get(id(weight)), self.parameters.get(id(bias)))
        bias = weight.new_zeros(weight.shape[axis] * (layer.groups if axis else 1)) if bias is None else bias
        output = self.op(kind, x, kernel_shape=list(weight.shape[2:]), **_geometry(layer))
        node = self.nodes[-1]
        self.convolutions[output.name] = _Convolution(node, node, weight.detach(), bias.detach(), axis, names)
        return output

    def conditional_convolution(self, x: Value, routing: Value, layer: CondConv2d) -> Value:
        """Convolution of a single image whose weight is a mixture of the experts' by `routing` (1, experts)."""
        if layer.bias is not None:
            raise ExportError("conditional convolutions with bias are not supported")
        weight = layer.weight.detach().reshape(layer.num_experts, layer.out_channels, -1)
        mixed = self.op("MatMul", routing)
        mixture = self.nodes[-1]
        mixed = self.op("Reshape", mixed, np.array(layer.weight_shape))
        output = self.op("Conv", x, mixed, kernel_shape=list(layer.kernel_size), **_geometry(layer))
        bias = weight.new_zeros(layer.out_channels)
        self.convolutions[output.name] = _Convolution(self.nodes[-1], mixture, weight, bias, 1, (None, None))
        return output

    def mixed_convolution(self, x: Value, layer: MixedConv2d) -> Value:
        """Convolutions with kernels of several sizes, each on its share of the channels."""
        values, start = [], 0
        for channels, conv in zip(layer.splits, layer.values(), strict=True):
            part = self.op("Slice", x, *(np.array([value]) for value in (start, start + channels, 1)))
            values.append(self.convolution("Conv", part, conv.weight, conv.bias, conv))
            start += channels
        output = self.op("Concat", *values, axis=1)
        self.mixtures[output.name] = values
        return output

    def norm(self, x: Value, layer: nn.Module) -> Value:
        """BatchNorm with running statistics: y = x * scale + shift, folded into the convolution before it."""
        scale = layer.weight * torch.rsqrt(layer.running_var + layer.eps)
        shift = layer.bias - layer.running_mean * scale
        parts = self.mixtures.get(x.name, [x])
        convolutions = [self.convolutions.get(part.name) for part in parts]
        if None in convolutions or x.name != self.nodes[-1].output[0]:
            raise ExportError("a BatchNorm that does not follow its convolution cannot be folded")
        sizes = [len(convolution.bias) for convolution in convolutions]
        for convolution, part_scale, part_shift in zip(convolutions, scale.split(sizes), shift.split(sizes)):
            shape = [1] * convolution.weight.dim()
            shape[convolution.channel_axis] = -1
            convolution.weight = convolution.weight * part_scale.reshape(shape)
            convolution.bias = convolution.bias * part_scale + part_shift
        norm = self.parameters.get(id(layer.running_mean), "").removesuffix("running_mean")
        if norm and len(convolutions) == 1:
            statistics = torch.stack([layer.running_mean * scale, layer.running_var * scale**2])
            stored = base64.b64encode(statistics.numpy().astype("<f4").tobytes()).decode()
            self.notes[norm] = {"after": convolutions[0].names, "statistics": stored}
        return activation(self, x, layer.act) if hasattr(layer, "act") else x

    def finish(self) -> None:
        """Writes the convolutions' final weights."""
        for name, convolution in self.convolutions.items():
            weight = convolution.weight
            if convolution.weight_node is not convolution.node:
                weight = weight.flatten(1)
            weight_name, bias_name = convolution.names
            bias_name = bias_name or (f"{weight_name}.bias" if weight_name else f"{name}_bias")
            convolution.weight_node.input.append(self._name(weight, weight_name or f"{name}_weight"))
            convolution.node.input.append(self._name(convolution.bias, bias_name))


def _geometry(layer: Any) -> dict[str, Any]:
    """A convolution's attributes. TensorFlow's padding is that for sides the stride divides, as a trunk's all are."""
    pads = list(layer.padding) * 2  # begin and end of both axes
    if isinstance(layer, Conv2dSame) or getattr(layer, "dynamic_padding", False):
        sides = list(zip(layer.kernel_size, layer.stride, layer.dilation))
        total = [max((kernel - 1) * dilation + 1 - stride, 0) for kernel, stride, dilation in sides]
        pads = [side // 2 for side in total] + [side - side // 2 for side in total]
    return {"strides": layer.stride, "pads": pads, "dilations": layer.dilation, "group": layer.groups}


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
    if name := writer.parameters.get(id(layer.weight)):
        writer.notes[name] = layer.weight.tolist()
    terms = [writer.op("Mul", x, factor) for x, factor in zip(inputs, layer.factors().reshape(-1, 1, 1, 1, 1))]
    total = terms[0]
    for term in terms[1:]:
        total = writer.op("Add", total, term)
    return total


def _group_norm(writer: _Writer, layer: nn.GroupNorm, x: Value) -> Value:
    """Means over groups of channels as a 1x1 convolution of the channels' means: no reshaping, any size."""
    share = layer.num_channels // layer.num_groups
    blocks = torch.kron(torch.eye(layer.num_groups), torch.full((share, share), 1 / share))[:, :, None, None]

    def group_mean(x: Value, bias: Tensor | None = None) -> Value:
        return writer.convolution("Conv", writer.op("GlobalAveragePool", x), blocks, bias, _UNIT)

    centred = writer.op("Sub", x, group_mean(x))
    variance = group_mean(writer.op("Mul", centred, centred), torch.full((layer.num_channels,), layer.eps))
    weight, bias = (value.reshape(1, -1, 1, 1) for value in (layer.weight, layer.bias))
    return writer.op("Add", writer.op("Mul", centred, writer.op("Div", weight, writer.op("Sqrt", variance))), bias)


def _max_pool(writer: _Writer, x: Value, kernel: int, stride: int, padding: int = 0) -> Value:
    return writer.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4)


def _conv(writer: _Writer, layer: nn.Conv2d, x: Value) -> Value:
    return writer.convolution("Conv", x, layer.weight, layer.bias, layer)


_MODULES = {
    nn.Conv2d: _conv,
    Conv2dSame: _conv,
    CondConv2d: lambda w, layer, x, routing: w.conditional_convolution(x, routing, layer),
    MixedConv2d: lambda w, layer, x: w.mixed_convolution(x, layer),
    nn.ConvTranspose2d: lambda w, layer, x: w.convolution("ConvTranspose", x, layer.weight, layer.bias, layer),
    nn.Linear: lambda w, layer, x: w.op("Gemm", x, layer.weight, layer.bias, transB=1),
    nn.ReLU: lambda w, layer, x: w.op("Relu", x),
    nn.ReLU6: _clip,
    nn.SiLU: lambda w, layer, x: w.op("Mul", x, w.op("Sigmoid", x)),
    nn.Sigmoid: lambda w, layer, x: w.op("Sigmoid", x),
    nn.Hardswish: lambda w, layer, x: w.op("HardSwish", x),
    nn.Hardsigmoid: lambda w, layer, x: w.op("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    nn.Identity: lambda w, layer, x: x,
    nn.AdaptiveAvgPool2d: _pool,
    nn.MaxPool2d: lambda w, layer, x: _max_pool(w, x, layer.kernel_size, layer.stride, layer.padding),
    nn.Upsample: lambda w, layer, x: _upsample(w, x, layer.size, layer.scale_factor, layer.mode, layer.align_corners),
    nn.GroupNorm: _group_norm,
    nn.BatchNorm2d: lambda w, layer, x: w.norm(x, layer),
    FrozenBatchNormAct2d: lambda w, layer, x: w.norm(x, layer),
    FrozenBatchNorm2d: lambda w, layer, x: w.norm(x, layer),
    Fusion: _fusion,
}

# Geometry of a functional convolution called without options.
_UNIT = SimpleNamespace(stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)


def _conv2d(writer: _Writer, x: Value, weight: Tensor, bias: Tensor | None = None, *geometry: Any) -> Value:
    names = ("stride", "padding", "dilation", "groups")
    layer = SimpleNamespace(**{**vars(_UNIT), **dict(zip(names, geometry))})
    return writer.convolution("Conv", x, weight, bias, layer)


def _slice(writer: _Writer, x: Value, index: tuple) -> Value:
    """x[..., a:b:c, ...]: slices counted from the last axis."""
    if index[0] is not Ellipsis or not all(isinstance(part, slice) for part in index[1:]):
        raise ExportError(f"indexing with {index} is not supported, only slices of the last axes")
    parts = index[1:]
    starts = np.array([part.start or 0 for part in parts])
    ends = np.array([np.iinfo(np.int64).max if part.stop is None else part.stop for part in parts])
    axes = np.arange(4 - len(parts), 4)
    return writer.op("Slice", x, starts, ends, axes, np.array([part.step or 1 for part in parts]))


def _upsample(
    writer: _Writer, x: Value, size=None, scale_factor=None, mode="nearest", align_corners=None, **_: Any
) -> Value:
    modes = {
        "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    }
    if mode not in modes or size is not None or align_corners:
        raise ExportError(f"resizing {mode!r} to size {size} is not supported, only nearest and bilinear by a factor")
    scales = np.array([1, 1, scale_factor, scale_factor], np.float32)
    return writer.op("Resize", x, None, scales, **modes[mode])


def _softmax(writer: _Writer, x: Value, dim: int, **_: Any) -> Value:
    return writer.op("Softmax", x, axis=dim)


def _adaptive_pool(writer: _Writer, x: Value, size: int) -> Value:
    return _pool(writer, SimpleNamespace(output_size=size), x)


_FUNCTIONS = {
    F.relu: lambda w, x, inplace=False: w.op("Relu", x),
    F.softplus: lambda w, x: w.op("Softplus", x),
    F.softmax: _softmax,
    F.conv2d: _conv2d,
    F.interpolate: _upsample,
    F.adaptive_avg_pool2d: _adaptive_pool,
    torch.max_pool2d: _max_pool,
    torch.cat: lambda w, values, axis: w.op("Concat", *values, axis=axis),
    torch.matmul: lambda w, a, b: w.op("MatMul", a, b),
    torch.sigmoid: lambda w, x: w.op("Sigmoid", x),
    operator.add: lambda w, a, b: w.op("Add", a, b),
    operator.mul: lambda w, a, b: w.op("Mul", a, b),
    operator.getitem: _slice,
}


def _flatten(writer: _Writer, x: Value, axis: int) -> Value:
    """Of 4 axes those from `axis` on; the ones before it are kept (0 copies)."""
    return writer.op("Flatten", x, axis=1) if axis == 1 else writer.op("Reshape", x, np.array([0] * axis + [-1]))


def _unflatten(writer: _Writer, x: Value, axis: int, sizes: tuple[int, ...]) -> Value:
    return writer.op("Reshape", x, np.array([0] * axis + list(sizes)))


def _transpose(writer: _Writer, x: Value, a: int, b: int) -> Value:
    """Exchanges two of three axes."""
    axes = [0, 1, 2]
    axes[a], axes[b] = b, a
    return writer.op("Transpose", x, perm=axes)


def _mean(writer: _Writer, x: Value, axes: tuple[int, ...], keepdim: bool = False) -> Value:
    if tuple(axes) != (2, 3) or not keepdim:
        raise ExportError(f"a mean over axes {axes} is not supported, only over height and width, which are kept")
    return writer.op("GlobalAveragePool", x)


_METHODS = {"flatten": _flatten, "unflatten": _unflatten, "transpose": _transpose, "mean": _mean}


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
            if target is operator.getitem:
                writer.cut(arguments[0], known[node])
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
def to_onnx(
    module: nn.Module, name: str, shape: list[int | str], outputs: dict[str, int], weights: nn.Module | None = None
) -> onnx.ModelProto:
    """The graph of a module with one input, called `name`, and several outputs, all of them float32.

    `shape` may name symbolic dimensions. `outputs` maps the names of the outputs, in order, to their number of
    axes; their dimensions stay open for the runtime to derive. Constants are named as the parameters of ``weights`` are,
    where that is given. Raises `ExportError` for what cannot be written.
    """
    module = module.eval()
    graph = _Tracer().trace(module)
    named = [*weights.named_parameters(), *weights.named_buffers()] if weights else []
    writer = _Writer({id(tensor): name for name, tensor in named})
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
    if writer.notes:
        helper.set_model_props(proto, {NOTES: json.dumps(writer.notes, separators=(",", ":"))})
    onnx.checker.check_model(proto, full_check=True)
    return proto
