"""A model directory on disk: written as the plugin reads it, and run in ONNX Runtime with the inference of the PyTorch network."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from zoo.config import BoxHead, Config, DensePoseHead, Input, Rpn
from zoo.predictors import DensePoseOutput
from zoo.network import Trunk


class ModelError(ValueError):
    """A model directory cannot be used; the message names the file and the cause."""


def write_model(out: str | os.PathLike, manifest: dict, files: dict[str, bytes]) -> dict:
    """Writes a model directory and returns its manifest: `manifest`, with the `files` (one per stage) as its stages.

    Each file is replaced as a whole, and `model.json`, whose hashes make the set valid, last.
    """
    out = Path(out)
    stages = {stage: {"file": f"{stage}.onnx", "sha256": hashlib.sha256(data).hexdigest()} for stage, data in files.items()}
    manifest = manifest | {"stages": stages}
    out.mkdir(parents=True, exist_ok=True)
    for stage, data in files.items():
        _replace(out / stages[stage]["file"], data)
    _replace(out / "model.json", (json.dumps(manifest, indent=2) + "\n").encode())
    return manifest


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


class ExportedModel:
    """What `zoo.inference.estimate` needs of a network - `config` and the three stages - from ONNX files."""

    def __init__(self, directory: str | os.PathLike, threads: int = 1):
        directory = Path(directory)
        path = directory / "model.json"
        try:
            manifest = json.loads(path.read_text())
            self.config = _config(manifest)
            stages = {name: manifest["stages"][name] for name in ("trunk", "box_head", "densepose_head")}
            self._inputs = [manifest[name]["input"] for name in ("box_head", "densepose_head")]
            self._image = manifest["input"]["name"]
            self._trunk_outputs = [
                [feature["output"] for feature in manifest["features"]],
                [level["objectness"] for level in manifest["rpn"]["levels"]],
                [level["deltas"] for level in manifest["rpn"]["levels"]],
            ]
            self._box_outputs = [manifest["box_head"][name] for name in ("scores", "deltas")]
            self._densepose_outputs = [manifest["densepose_head"][name] for name in DensePoseOutput._fields]
            self._sessions = {name: _session(directory, stage, threads) for name, stage in stages.items()}
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}") from error
        except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
            raise ModelError(f"{path}: not a model of this version ({type(error).__name__}: {error})") from error

    def eval(self) -> ExportedModel:
        return self

    def parameters(self) -> Iterator[Tensor]:
        """A tensor that says on which device the stages take their inputs."""
        yield torch.zeros(0)

    def trunk(self, images: Tensor) -> Trunk:
        names = [name for group in self._trunk_outputs for name in group]
        tensors = iter(self._run("trunk", names, self._image, images))
        return Trunk(*([next(tensors) for _ in group] for group in self._trunk_outputs))

    def box_head(self, rois: Tensor) -> tuple[Tensor, Tensor]:
        scores, deltas = self._run("box_head", self._box_outputs, self._inputs[0], rois)
        return scores, deltas

    def densepose_head(self, rois: Tensor) -> DensePoseOutput:
        return DensePoseOutput(*self._run("densepose_head", self._densepose_outputs, self._inputs[1], rois))

    def _run(self, stage: str, outputs: list[str], name: str, tensor: Tensor) -> list[Tensor]:
        values = self._sessions[stage].run(outputs, {name: tensor.numpy()})
        return [torch.from_numpy(value) for value in values]


def _session(directory: Path, stage: dict, threads: int) -> onnxruntime.InferenceSession:
    path = directory / stage["file"]
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != stage["sha256"]:
        raise ModelError(f"{path}: SHA-256 differs from the one in model.json; export the model again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Sums of 8-bit products saturate on x86-64 without VNNI, unless this is on; elsewhere it changes nothing.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if b"QuantizeLinear" not in data:
        # Where only weights are 8 bits wide there is nothing to compute in integers: expand them now, not in each run.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has exceptions of its own for each kind of damage
        raise ModelError(f"{path}: {error}") from error


def _config(manifest: dict) -> Config:
    """The manifest's settings; what describes the architecture keeps its defaults, nothing here reads it."""
    source, rpn, box, densepose = (manifest[name] for name in ("input", "rpn", "box_head", "densepose_head"))
    return Config(
        name=manifest["name"],
        description=manifest["description"],
        backbone="",
        channels=manifest["features"][0]["channels"],
        input=Input(
            channel_order=source["channel_order"],
            mean=tuple(source["mean"]),
            std=tuple(source["std"]),
            **{name: source[name] for name in ("short_side", "max_long_side", "size_divisor")},
        ),
        rpn=Rpn(
            strides=tuple(level["stride"] for level in rpn["levels"]),
            sizes=tuple(level["sizes"][0] for level in rpn["levels"]),
            aspect_ratios=tuple(rpn["aspect_ratios"]),
            box_weights=tuple(rpn["box_weights"]),
            **{name: rpn[name] for name in ("offset", "pre_nms_topk", "nms_threshold", "post_nms_topk")},
        ),
        box=BoxHead(
            classes=tuple(box["classes"]),
            box_weights=tuple(box["box_weights"]),
            **{
                name: box[name]
                for name in ("resolution", "sampling_ratio", "aligned", "canonical_size", "canonical_level")
                + ("score_threshold", "nms_threshold", "max_detections")
            },
        ),
        densepose=DensePoseHead(
            source=_source(densepose["features"], manifest["features"]),
            **{name: densepose[name] for name in ("margin", "sure_from", "nms_iou", "nms_shared") if name in densepose},
            **{name: densepose[name] for name in ("resolution", "sampling_ratio", "aligned")},
        ),
    )


def _source(names: list[str], features: list[dict]) -> str:
    """Where the DensePose head's input is cut from; what a decoder makes comes after the levels of the pyramid."""
    if len(names) > 1:
        return "pyramid"
    return "p2" if names[0] == features[0]["output"] else "decoder"
