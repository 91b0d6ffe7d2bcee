"""The exported folder: what the plugin reads, and that it does what PyTorch does."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from zoo import checkpoint, export, half, inference, quantize
from zoo.config import CONFIGS
from zoo.exported import ExportedModel
from zoo.network import ParsingRCNN
from zoo.random_weights import random_network
from zoo.tiny_fixture import OUT as FIXTURE


# Operators that every runtime has, without shape arithmetic.
PLAIN = {"Add", "Clip", "Concat", "Conv", "ConvTranspose", "Flatten", "Gemm", "GlobalAveragePool", "Mul", "Relu"}
PLAIN |= {"Resize", "Slice"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(1)
    model = ParsingRCNN(CONFIGS["tiny"].tuned(post_nms_topk=7)).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)  # so that folding has something to fold
    out = tmp_path_factory.mktemp("export") / "model"
    export.export(model, out, {"trained_on": "nothing"}, "MIT")
    return out, model


def test_manifest(folder):
    out, model = folder
    manifest = json.loads((out / "model.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["licence"]) == ("densepose-model", 1, "MIT")
    assert manifest["provenance"]["trained_on"] == "nothing"
    assert manifest["provenance"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert manifest["rpn"]["post_nms_topk"] == 7
    assert manifest["rpn"]["levels"][4] == {
        "objectness": "objectness_p6",
        "deltas": "deltas_p6",
        "stride": 64,
        "sizes": [256],
    }
    assert manifest["box_head"]["classes"] == ["person", "background"]
    for stage in manifest["stages"].values():
        assert hashlib.sha256((out / stage["file"]).read_bytes()).hexdigest() == stage["sha256"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["model.json", *(stage["file"] for stage in manifest["stages"].values())]
    )


def test_graphs_are_plain(folder):
    out, _ = folder
    shapes = {"trunk": [1, 3, "H", "W"], "box_head": ["N", 16, 7, 7], "densepose_head": ["N", 16, 16, 16]}
    for stage, symbols in shapes.items():
        graph = onnx.load(out / f"{stage}.onnx").graph
        dims = graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == symbols
        assert {node.op_type for node in graph.node} <= PLAIN
        # Runtimes derive the outputs' sizes; symbols of ours might contradict theirs.
        for output in graph.output:
            assert not any(dim.dim_param for dim in output.type.tensor_type.shape.dim)
    trunk = onnx.load(out / "trunk.onnx").graph
    # Backbone without its last projection, laterals, separable blocks, RPN head on five levels; BatchNorm adds none.
    assert sum(node.op_type == "Conv" for node in trunk.node) == (1 + 2 + 3 * 5 - 1) + 4 + 2 * 9 + 4 * 5
    assert sum(node.op_type == "Mul" for node in trunk.node) == 14  # one per fusion input


def test_other_sizes_run(folder):
    out, model = folder
    session = onnxruntime.InferenceSession(out / "trunk.onnx")
    image = torch.randn(1, 3, 96, 224)
    with torch.no_grad():
        expected = model.eval().trunk(image)
    (p3, deltas) = session.run(["p3", "deltas_p6"], {"image": image.numpy()})
    assert export.relative_rms(p3, expected.features[1].numpy()) < 1e-5
    assert export.relative_rms(deltas, expected.deltas[4].numpy()) < 1e-5


def test_a_difference_is_refused(folder):
    """The check on export compares with the PyTorch network it is given."""
    out, model = folder
    other = ParsingRCNN(CONFIGS["tiny"]).eval()
    file = (out / "box_head.onnx").read_bytes()
    stage = export._Stage("box_head", export._BoxHead(other), "rois", ["N", 16, 7, 7], export.BOX_OUTPUTS, [{"N": 2}])
    with torch.no_grad(), pytest.raises(export.ExportError, match="scores differs from PyTorch"):
        export._verify(stage, file)


def test_numbers_that_are_none_are_refused(tmp_path):
    model = ParsingRCNN(CONFIGS["tiny"]).eval()
    torch.nn.init.constant_(model.roi_heads["box_predictor"].cls_score.bias, float("nan"))
    with pytest.raises(export.ExportError, match="box_head: scores"):
        export.export(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class _Unknown(torch.nn.Module):
    def forward(self, x):
        return (torch.special.erf(x),)


class _NormFirst(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.BatchNorm2d(3))

    def forward(self, x):
        return (super().forward(x),)


@pytest.mark.parametrize(("module", "message"), [(_Unknown(), "erf"), (_NormFirst(), "BatchNorm")])
def test_what_cannot_be_written_is_named(module, message):
    with pytest.raises(export.ExportError, match=message):
        export.to_onnx(module, "x", [1, 3, 4, 4], {"y": 4})


@pytest.fixture(scope="module")
def reference():
    return np.load(FIXTURE / "reference.npz")


def test_fixture_is_small_and_whole():
    manifest = json.loads((FIXTURE / "model.json").read_text())
    size = 0
    for stage in manifest["stages"].values():
        data = (FIXTURE / stage["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == stage["sha256"]
        size += len(data)
    assert size < 500_000
    assert (FIXTURE / "reference.npz").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("stage", "source", "outputs"),
    [
        ("trunk", "input", export.TRUNK_OUTPUTS),
        ("box_head", "box_rois", ["box_scores", "box_deltas"]),
        ("densepose_head", "densepose_rois", ["coarse", "fine", "u", "v"]),
    ],
)
def test_fixture_files_give_the_reference(reference, stage, source, outputs):
    session = onnxruntime.InferenceSession(FIXTURE / f"{stage}.onnx")
    names = ["scores" if name == "box_scores" else name for name in outputs]
    values = session.run(names, {session.get_inputs()[0].name: reference[source]})
    for name, value in zip(outputs, values):
        expected = reference[name]
        assert export.relative_rms(value[: len(expected)], expected) < 1e-4, name


def _command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["export", *map(str, arguments)])
    export.main()


def test_random_weights_for_tests_of_speed(tmp_path, monkeypatch):
    out = tmp_path / "model"
    _command(monkeypatch, "--random", "--config", "tiny", "--out", out, "--short-side", 100)
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["provenance"]["weights"] == "random" and manifest["input"]["short_side"] == 100
    picture = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    persons = inference.estimate(ExportedModel(out), picture)
    assert persons and all(np.isfinite(person.score) for person in persons)


@pytest.mark.parametrize("output", ["charts", "embedding"])
def test_manifest_of_the_densepose_head(tmp_path, output):
    config = CONFIGS["tiny"]
    config = replace(config, densepose=replace(config.densepose, output=output))
    model = random_network(config)
    head = export.export(model, tmp_path / output)["densepose_head"]
    maps = {"charts": ["coarse", "fine", "u", "v"], "embedding": ["coarse", "embedding"]}
    assert [name for name, value in head.items() if name == value] == maps[output]
    if output == "embedding":
        with pytest.raises(ValueError, match="embeddings, not charts"):
            model.densepose_head(torch.zeros(1, 16, 16, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--random", "--config", "huge"], "unknown network 'huge'; known: "),
        (["missing.pt"], "missing.pt: no such file"),
    ],
)
def test_export_command_tells_what_is_wrong(tmp_path, monkeypatch, arguments, message):
    with pytest.raises(SystemExit, match=message):
        _command(monkeypatch, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["--random"], ["--random", "model.pt", "--config", "tiny"]])
def test_export_command_wants_one_source(tmp_path, monkeypatch, arguments, capsys):
    with pytest.raises(SystemExit):
        _command(monkeypatch, *arguments, "--out", tmp_path / "out")
    assert "--random" in capsys.readouterr().err


def output_differences(out, other, name, tensor):
    """Relative rms differences of a stage's outputs in ONNX Runtime between two model folders."""
    values = [onnxruntime.InferenceSession(folder / f"{name}.onnx").run(None, tensor) for folder in (out, other)]
    return [export.relative_rms(b, a) for a, b in zip(*values)]


def test_half_precision_is_half_the_size_and_nearly_the_same(folder, tmp_path):
    out, model = folder
    export.export(model, tmp_path / "half", half=True)
    size, half_size = (sum(path.stat().st_size for path in f.glob("*.onnx")) for f in (out, tmp_path / "half"))
    weights = sum(p.numel() for p in model.parameters())
    assert size - half_size > 1.7 * weights  # two bytes of each weight, but for biases and names
    image = {"image": np.random.default_rng(0).normal(size=(1, 3, 96, 96)).astype(np.float32)}
    differences = output_differences(out, tmp_path / "half", "trunk", image)
    assert 0 < max(differences) < export.HALF_TOLERANCE
    graph = onnx.load(tmp_path / "half" / "trunk.onnx")
    assert {node.op_type for node in half.expanded(graph).graph.node} <= PLAIN
    assert len(half.expanded(graph).graph.node) == len(onnx.load(out / "trunk.onnx").graph.node)


def test_weights_beyond_half_precision_are_refused(tmp_path):
    model = ParsingRCNN(CONFIGS["tiny"]).eval()
    model.roi_heads["box_predictor"].cls_score.weight.data[0, 0] = 1e5
    with pytest.raises(half.HalfError, match="cls_score.weight: has values beyond 65504"):
        export.export(model, tmp_path / "model", half=True)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("precise", [True, False])
def test_weights_are_read_back_from_an_exported_model(folder, tmp_path, precise):
    out, model = folder
    if not precise:
        out = tmp_path / "half"
        export.export(model, out, half=True)
    back = checkpoint.load(out)
    tolerance = 1e-5 if precise else export.HALF_TOLERANCE
    image, rois = torch.randn(1, 3, 96, 128), torch.randn(3, 16, 16, 16)
    with torch.no_grad():
        for a, b in zip((*model.trunk(image).features, *model.trunk(image).deltas), (*back.trunk(image).features, *back.trunk(image).deltas)):
            assert export.relative_rms(b.numpy(), a.numpy()) < tolerance
        for a, b in zip(model.densepose_head(rois), back.densepose_head(rois)):
            assert export.relative_rms(b.numpy(), a.numpy()) < tolerance
        boxes = torch.randn(2, 16, 7, 7)
        assert export.relative_rms(back.box_head(boxes)[0].numpy(), model.box_head(boxes)[0].numpy()) < tolerance
    again = tmp_path / "again"
    export.export(back, again)
    assert max(output_differences(out, again, "trunk", {"image": image.numpy()})) < 1e-5


def test_batch_norms_read_back_know_their_statistics(tmp_path):
    """In training BatchNorm uses those of the batch: on the data that the statistics came from nothing may change."""
    torch.manual_seed(4)
    model = ParsingRCNN(CONFIGS["tiny"])
    rois = torch.randn(16, 16, 16, 16)
    for module in model.roi_heads.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of one batch
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    model.train()
    with torch.no_grad():
        before = model.densepose_head(rois)
    export.export(model, tmp_path / "model")
    back = checkpoint.load(tmp_path / "model").train()
    with torch.no_grad():
        for a, b in zip(before, back.densepose_head(rois)):
            assert export.relative_rms(b.numpy(), a.numpy()) < 1e-3


def test_models_whose_weights_cannot_be_read_back_are_named(folder, tmp_path):
    out, _ = folder
    with pytest.raises(checkpoint.CheckpointError, match="model.json: No such file"):
        checkpoint.load(tmp_path)
    quantize.quantize(out, tmp_path / "w8")
    with pytest.raises(checkpoint.CheckpointError, match="unknown network 'tiny-w8'"):
        checkpoint.load(tmp_path / "w8")
    old = shutil.copytree(out, tmp_path / "old")
    graph = onnx.load(old / "box_head.onnx")
    for constant in graph.graph.initializer:
        constant.name = "conv_1_1" if constant.name.endswith("conv1.weight") else constant.name
    (old / "box_head.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(checkpoint.CheckpointError, match="holds no roi_heads.box_head.conv1.weight and 0 more"):
        checkpoint.load(old)


def test_half_precision_can_be_quantised(folder, tmp_path):
    out, model = folder
    export.export(model, tmp_path / "half", half=True)
    manifests = [quantize.quantize(source, tmp_path / f"w8-{number}") for number, source in enumerate((out, tmp_path / "half"))]
    sizes = [sum((tmp_path / f"w8-{n}" / f"{stage}.onnx").stat().st_size for stage in manifests[n]["stages"]) for n in (0, 1)]
    assert abs(sizes[0] - sizes[1]) < 0.01 * sizes[0]
    assert manifests[0]["provenance"]["float_bytes"] == manifests[1]["provenance"]["float_bytes"]
