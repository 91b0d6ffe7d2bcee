"""The weights of an exported model, read back into the network: `zoo.checkpoint` takes a model directory as a checkpoint.

`onnx_writer` names constants as the parameters they are. BatchNorm is folded into the convolution before it; here its scale
becomes part of that convolution's weight for good, and BatchNorm gets the statistics of the *scaled* outputs (noted in the
file: means and variances), with weights that undo it. So the network computes what it computed, and training, in which
BatchNorm measures its own statistics, can go on.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from zoo.config import get_config
from zoo.half import expanded
from zoo.network import ParsingRCNN
from zoo.onnx_writer import NOTES

_NO_WEIGHTS = ("num_batches_tracked", ".eps")  # counters and constants


class WeightsError(ValueError):
    """An exported model whose weights cannot be read back; the message names the file."""


def read_checkpoint(directory: str | Path) -> dict:
    """What `checkpoint.read` returns of a checkpoint: "config", "anchors" (sizes) and "model", the state dict."""
    directory = Path(directory)
    path = directory / "model.json"
    try:
        manifest = json.loads(path.read_text())
        config = get_config(manifest["name"])
        sizes = [size for level in manifest["rpn"]["levels"] for size in level["sizes"]]
        files = [directory / stage["file"] for stage in manifest["stages"].values()]
        networks = [expanded(onnx.load(file)) for file in files]
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror}") from error
    except Exception as error:  # protobuf has exceptions of its own for damaged files
        raise WeightsError(f"{path}: no model whose weights can be read back ({error})") from error
    return {"config": config.name, "anchors": sizes, "model": _state(ParsingRCNN(config), networks, directory)}


def _state(model: ParsingRCNN, networks: list[onnx.ModelProto], directory: Path) -> dict[str, Tensor]:
    """A state dict for ``model``, whose architecture is that of the exported ``networks``."""
    constants, notes = {}, {}
    for network in networks:
        constants |= {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in network.graph.initializer}
        notes |= json.loads({entry.key: entry.value for entry in network.metadata_props}.get(NOTES, "{}"))
    own = model.state_dict()
    found = {name: whole for name, value in own.items() if (whole := _whole(name, constants)) is not None and whole.shape == value.shape}
    for name, note in notes.items():
        if isinstance(note, dict):
            found |= _unfolded(model.get_submodule(name.removesuffix(".")), name, note, constants)
        else:
            found[name] = torch.tensor(note)
    missing = [name for name in own if name not in found and not name.endswith(_NO_WEIGHTS)]
    if missing:
        raise WeightsError(
            f"{directory}: holds no {missing[0]} and {len(missing) - 1} more; it is quantised or was exported by an earlier version"
        )
    return own | found


def _whole(name: str, constants: dict[str, Tensor]) -> Tensor | None:
    """The constant of that name; pieces of a kernel (name/0, name/1, ...) are joined along its input channels."""
    pieces = []
    while f"{name}/{len(pieces)}" in constants:
        pieces.append(constants[f"{name}/{len(pieces)}"])
    return torch.cat(pieces, 1) if pieces else constants.get(name)


def _unfolded(layer: nn.Module, norm: str, note: dict, constants: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the norm called ``norm`` (with a final dot) holds, and the bias of the convolution before it."""
    weight_name, bias_name = note["after"]
    mean, variance = np.frombuffer(base64.b64decode(note["statistics"]), "<f4").reshape(2, -1)
    mean, variance = torch.tensor(mean), torch.tensor(variance)
    folded = constants[bias_name or f"{weight_name}.bias"]
    state = {
        f"{norm}running_mean": mean,
        f"{norm}running_var": variance,
        f"{norm}weight": (variance + layer.eps).sqrt(),
        f"{norm}bias": folded + mean,
    }
    if bias_name:
        state[bias_name] = torch.zeros_like(folded)
    return state
