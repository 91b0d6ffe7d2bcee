"""Weights on disk: our own checkpoints and the published ones, read without running code from the file."""

import math
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo import pickles
from zoo.config import Config, get_config
from zoo.network import ParsingRCNN

# What detectron2 versions store beside the network: constants, which here come from the config, and the embeddings of
# a body's vertices, which are compared with what a network puts out.
_BESIDE = ("pixel_mean", "pixel_std", "proposal_generator.anchor_generator.cell_anchors.", "roi_heads.embedder.")


_FIRST_ANCHORS = (32, 64, 128, 256, 512)  # of the default network before checkpoints said them


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file, the cause and the remedy."""


def save(path: str | os.PathLike, model: ParsingRCNN, **extra) -> None:
    """Writes the weights, the network's name and `extra` (tensors and plain data, e.g. for resuming), atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    sizes = list(model.config.rpn.sizes)
    torch.save({"config": model.config.name, "anchors": sizes, "model": model.state_dict(), **extra}, partial)
    os.replace(partial, path)


def read(path: str | os.PathLike) -> dict:
    """The contents of a checkpoint: always with "model", the state dict; ours also with "config".

    Published files hold either a state dict or a dict with "model": PyTorch's `.pth`, or `.pkl` with NumPy arrays. Of a model
    directory as `zoo.export` writes it the weights are read back (`zoo.onnx_weights`).
    """
    if Path(path).is_dir():
        from zoo import onnx_weights  # onnx takes long to import, and few need it

        try:
            return onnx_weights.read_checkpoint(path)
        except onnx_weights.WeightsError as error:
            raise CheckpointError(str(error)) from error
    try:
        if Path(path).suffix == ".pkl" and not zipfile.is_zipfile(path):
            contents = _read_arrays(Path(path))
        else:
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except Exception as error:  # torch raises whatever the broken part of the file leads to
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path}: not a readable checkpoint ({cause}); it may be truncated or of another kind, "
            "fetch or save it again"
        ) from error
    if isinstance(contents, dict) and "model" not in contents:
        contents = {"model": contents}
    state = contents.get("model") if isinstance(contents, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no state dict of tensors; save one with torch.save(model.state_dict())")
    return contents


def _read_arrays(path: Path) -> dict:
    """A pickle whose NumPy arrays, also those under "model", are tensors."""
    with path.open("rb") as file:
        contents = pickles.read(file)
    if isinstance(contents, dict) and "model" in contents:
        contents = contents["model"]
    if not isinstance(contents, dict):
        return {}
    arrays = {name: value for name, value in contents.items() if isinstance(value, np.ndarray)}
    # Beside the arrays there are notes, such as the author's name.
    return {"model": {str(name): torch.from_numpy(np.array(value)) for name, value in arrays.items()}}


def state_for(contents: dict, config: Config) -> dict[str, Tensor]:
    """The weights in what `read` returned, for the anchors that ``config`` has.

    Where these are all larger or smaller by a factor than those the weights were trained with, the RPN's last layer is
    changed so that it proposes the same boxes; objectness is still that of the old sizes.
    """
    state = contents["model"]
    old = contents.get("anchors") or (_FIRST_ANCHORS if contents.get("config") == "default" else config.rpn.sizes)
    if list(old) == list(config.rpn.sizes):
        return state
    factors = {new / before for new, before in zip(config.rpn.sizes, old)}
    if len(factors) != 1 or len(old) != len(config.rpn.sizes):
        raise CheckpointError(f"anchors of {list(old)} pixels cannot become {list(config.rpn.sizes)}: not one factor for all")
    factor, layer = factors.pop(), "proposal_generator.rpn_head.anchor_deltas."
    weight, bias = state[layer + "weight"].clone(), state[layer + "bias"].clone()
    rows = torch.arange(len(bias)) % 4  # dx, dy, dw, dh of each anchor
    weight[rows < 2] /= factor
    bias[rows < 2] /= factor
    for row, scale in zip((2, 3), config.rpn.box_weights[2:]):
        bias[rows == row] -= scale * math.log(factor)
    return state | {layer + "weight": weight, layer + "bias": bias}


def load_state(model: ParsingRCNN, state: dict[str, Tensor], source: str | os.PathLike) -> None:
    """Loads `state` into `model`; `CheckpointError` lists what is missing, unexpected, misshapen or not finite."""
    own = model.state_dict()
    state = {name: value for name, value in state.items() if not name.startswith(_BESIDE)}
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # not weights; may be absent
    complaints = [
        _complaint("missing", [name for name in own if name not in state and name not in counters]),
        _complaint("unexpected", [name for name in state if name not in own and not name.endswith("tracked")]),
        _complaint(
            "of wrong shape",
            [
                f"{name} ({tuple(value.shape)}, expected {tuple(own[name].shape)})"
                for name, value in state.items()
                if name in own and value.shape != own[name].shape
            ],
        ),
        _complaint("not finite", [name for name, value in state.items() if not value.isfinite().all()]),
    ]
    complaints = [text for text in complaints if text]
    if complaints:
        raise CheckpointError(
            f"{source}: does not fit network {model.config.name!r}: {'; '.join(complaints)}. "
            "Choose the config the checkpoint was made with."
        )
    model.load_state_dict({name: state.get(name, own[name]) for name in own})


def load(path: str | os.PathLike, config: Config | str | None = None) -> ParsingRCNN:
    """The network of a checkpoint, in evaluation mode; `config` is needed where the file does not name it."""
    contents = read(path)
    config = config or contents.get("config")
    if config is None:
        raise CheckpointError(f"{path}: does not say which network it is for; name one with --config")
    try:
        model = ParsingRCNN(config if isinstance(config, Config) else get_config(config))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    load_state(model, state_for(contents, model.config), path)
    return model.eval()


def _complaint(kind: str, names: list[str], shown: int = 5) -> str:
    if not names:
        return ""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} {kind}: {', '.join(names[:shown])}{rest}"
