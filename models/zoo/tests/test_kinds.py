"""The fixtures of all kinds of networks: small, whole, and what the code makes today."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from zoo import inference
from zoo.export import relative_rms
from zoo.exported import ExportedModel
from zoo.kinds_fixture import KINDS, OUT, SEEDS, make

# Operators with which all networks are written, and beside which there is no shape arithmetic.
PLAIN = {"Add", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Flatten", "Gemm", "GlobalAveragePool", "HardSigmoid"}
PLAIN |= {"HardSwish", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Softmax"}
PLAIN |= {"Softplus", "Sqrt", "Sub", "Transpose"}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_every_kind_is_there_and_small():
    assert sorted(path.name for path in OUT.iterdir()) == sorted(KINDS)
    for folder in OUT.iterdir():
        assert sum(file.stat().st_size for file in folder.iterdir()) < 300_000


def test_graphs_are_plain(kind):
    for stage in ("trunk", "box_head", "densepose_head"):
        nodes = onnx.load(OUT / kind / f"{stage}.onnx").graph.node
        assert {node.op_type for node in nodes} <= PLAIN


def test_all_operators_are_met():
    graphs = [onnx.load(path).graph for path in OUT.glob("*/*.onnx")]
    assert {node.op_type for graph in graphs for node in graph.node} == PLAIN


def test_the_code_makes_the_fixture(kind):
    _, arrays = make(KINDS[kind], SEEDS[kind])
    stored = np.load(OUT / kind / "reference.npz")
    assert sorted(stored.files) == sorted(arrays)
    for name in stored.files:
        if stored[name].dtype == np.uint8:
            assert (stored[name] != arrays[name]).mean() < 0.01, name
        else:
            assert relative_rms(arrays[name], stored[name]) < 1e-4, name


def test_onnx_runtime_finds_the_same_people(kind):
    """By the manifest alone."""
    stored = np.load(OUT / kind / "reference.npz")
    persons = inference.estimate(ExportedModel(OUT / kind), stored["picture"])
    assert [(p.x, p.y, p.w, p.h) for p in persons] == [tuple(box) for box in stored["xywh"].tolist()]
    np.testing.assert_allclose([p.score for p in persons], stored["scores"], atol=1e-4)
    for index, person in enumerate(persons):
        assert (person.iuv == stored[f"iuv_{index}"]).mean() > 0.99


def test_extra_outputs_are_named():
    head = json.loads((OUT / "mobile_parsing_rcnn" / "model.json").read_text())["densepose_head"]
    extra = ["sigma_2", "kappa_u", "kappa_v", "coarse_confidence", "fine_confidence"]
    assert all(head[name] == name for name in ["coarse", "fine", "u", "v", *extra])
    session = onnxruntime.InferenceSession(OUT / "mobile_parsing_rcnn" / "densepose_head.onnx")
    confidence = session.run(["fine_confidence"], {"rois": np.random.randn(1, 8, 16, 16).astype(np.float32)})[0]
    assert confidence.shape == (1, 1, 32, 32) and confidence.min() > 0.01 - 1e-6


@torch.no_grad()
def test_confidence_scales_the_logits():
    model, _ = make(KINDS["mobile_parsing_rcnn"], SEEDS["mobile_parsing_rcnn"])
    rois = torch.randn(2, 8, 16, 16)
    outputs = model.densepose_outputs(rois)
    features = model.roi_heads["densepose_head"](rois)
    plain = model.roi_heads["densepose_predictor"].index_uv_lowres(features)
    torch.testing.assert_close(outputs["fine"], plain * outputs["fine_confidence"])
    assert model.densepose_head(rois).fine.equal(outputs["fine"])
