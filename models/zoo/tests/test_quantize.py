"""8-bit models: they load, they stay close to float, sizes stay open, and bad input is explained."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from zoo import bench_onnxruntime, int8_table, marked, quantize
from zoo.export import relative_rms
from zoo.exported import ExportedModel, ModelError
from zoo.tests.test_markdown import cells

TINY = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "tiny"
FIXTURE = TINY.with_name("tiny-int8")


@pytest.fixture(scope="module")
def calibration():
    return quantize.calibrate(TINY, quantize.calibration_pictures(TINY, 1))


@pytest.fixture(scope="module")
def folders(tmp_path_factory, calibration):
    """The tiny model with 8-bit weights, and with 8-bit activations too."""
    out = tmp_path_factory.mktemp("quantized")
    quantize.quantize(TINY, out / "weights")
    quantize.quantize(TINY, out / "full", calibration)
    return {name: out / name for name in ("weights", "full")}


# Relative to the root mean square. Each rounding costs about a percent, which layers of random weights amplify (trained
# ones do not: 0.03 and 0.07 at P2 of the default network); a wrong scale or channel gives 1 and more.
@pytest.mark.parametrize(("kind", "bound"), [("weights", 0.07), ("full", 0.5)])
def test_outputs_are_close_to_float(folders, calibration, kind, bound):
    exact, rounded = ExportedModel(TINY), ExportedModel(folders[kind])
    image = torch.from_numpy(calibration.inputs["trunk"][0])
    pairs = list(zip(exact.trunk(image), rounded.trunk(image)))
    tensors = [(a, b) for expected, values in pairs for a, b in zip(expected, values)]
    rois = torch.from_numpy(np.concatenate(calibration.inputs["box_head"]))
    tensors += zip(exact.box_head(rois), rounded.box_head(rois))
    rois = torch.from_numpy(np.concatenate(calibration.inputs["densepose_head"]))
    tensors += zip(exact.densepose_head(rois), rounded.densepose_head(rois))
    differences = [relative_rms(value.numpy(), expected.numpy()) for expected, value in tensors]
    assert 0 < min(differences) and max(differences) < bound, differences


@pytest.mark.parametrize("kind", ["weights", "full"])
def test_sizes_stay_open(folders, kind):
    exact, rounded = ExportedModel(TINY), ExportedModel(folders[kind])
    for height, width in [(32, 64), (96, 224)]:
        image = torch.zeros(1, 3, height, width)
        assert [t.shape for t in rounded.trunk(image).features] == [t.shape for t in exact.trunk(image).features]
    for count in (1, 5):
        assert rounded.box_head(torch.zeros(count, 16, 7, 7))[0].shape == (count, 2)
        assert rounded.densepose_head(torch.zeros(count, 16, 16, 16)).fine.shape == (count, 25, 32, 32)


def test_weights_are_bytes(folders):
    size = {name: sum(p.stat().st_size for p in folder.glob("*.onnx")) for name, folder in {"float": TINY, **folders}.items()}
    assert size["weights"] < 0.5 * size["float"] and size["full"] < 0.9 * size["float"]  # small layers, much structure
    for folder in folders.values():
        for stage in quantize.STAGES:
            graph = onnx.load(folder / f"{stage}.onnx").graph
            floats = [tuple(c.dims) for c in graph.initializer if c.data_type == onnx.TensorProto.FLOAT]
            depthwise = [dims for dims in floats if len(dims) == 4 and np.prod(dims[1:]) < quantize.SMALLEST_KERNEL]
            assert all(np.prod(dims) < quantize.SMALLEST_WEIGHT for dims in floats if dims not in depthwise)
            assert all(np.prod(dims[2:]) > 1 for dims in depthwise if np.prod(dims) >= quantize.SMALLEST_WEIGHT)


def test_each_weight_is_off_by_half_a_step_at_most(folders):
    for stage in quantize.STAGES:
        exact = {c.name: numpy_helper.to_array(c) for c in onnx.load(TINY / f"{stage}.onnx").graph.initializer}
        graph = onnx.load(folders["weights"] / f"{stage}.onnx").graph
        constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
        expanded = [node for node in graph.node if node.op_type == "DequantizeLinear"]
        assert expanded
        for node in expanded:
            values, scale, zero = (constants[name] for name in node.input)
            shape = [1] * values.ndim
            shape[node.attribute[0].i] = -1
            assert values.dtype == np.int8 and not zero.any()
            assert np.abs(values * scale.reshape(shape) - exact[node.output[0]]).max() <= 0.5001 * scale.max()
            # Every channel uses the whole range.
            axes = tuple(i for i in range(values.ndim) if i != node.attribute[0].i)
            assert (np.abs(values).max(axes) == 127).all()


def test_layers_that_make_outputs_keep_float_activations(folders):
    graph = onnx.load(folders["full"] / "densepose_head.onnx").graph
    makers = {name: node for node in graph.node for name in node.output}
    for output in graph.output:
        assert makers[output.name].op_type == "ConvTranspose"
    assert any(node.op_type == "QuantizeLinear" for node in graph.node)


def test_the_manifest_tells_what_was_done(folders, calibration):
    before = json.loads((TINY / "model.json").read_text())
    for kind, suffix, word in [("weights", "-w8", "float activations"), ("full", "-int8", "calibrated on 1 pictures")]:
        manifest = json.loads((folders[kind] / "model.json").read_text())
        assert manifest["name"] == before["name"] + suffix
        assert word in manifest["provenance"]["quantised"]
        assert manifest["provenance"]["weights"] == before["provenance"]["weights"]
        same = set(before) - {"name", "provenance", "stages"}
        assert {key: manifest[key] for key in same} == {key: before[key] for key in same}


def test_the_committed_fixture_is_of_the_tiny_model():
    """`python -m zoo.quantize ../tests/fixtures/tiny --calibration ../tests/fixtures/tiny --out ../tests/fixtures/tiny-int8`"""
    manifest = json.loads((FIXTURE / "model.json").read_text())
    trunk = hashlib.sha256((TINY / "trunk.onnx").read_bytes()).hexdigest()
    assert manifest["provenance"]["float_trunk_sha256"] == trunk
    ExportedModel(FIXTURE)
    assert sum(path.stat().st_size for path in FIXTURE.iterdir()) < 200_000


def test_bad_input_is_explained(tmp_path, folders):
    with pytest.raises(ModelError, match="no pictures to calibrate on"):
        quantize.calibration_pictures(tmp_path, 4)
    with pytest.raises(ModelError, match="not a picture"):
        (tmp_path / "broken.png").write_bytes(b"no picture")
        quantize.calibrate(TINY, [tmp_path / "broken.png"])
    with pytest.raises(ModelError, match="quantised already"):
        quantize.quantize(folders["weights"], tmp_path / "again")
    with pytest.raises(ModelError, match="overwrite"):
        quantize.quantize(TINY, TINY)
    with pytest.raises(ModelError, match="model.json"):
        quantize.quantize(tmp_path / "nothing", tmp_path / "out")
    damaged = shutil.copytree(TINY, tmp_path / "damaged")
    (damaged / "trunk.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="SHA-256"):
        quantize.quantize(damaged, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "again").exists()


def test_nobody_on_the_pictures_is_explained(monkeypatch):
    monkeypatch.setattr(quantize.inference, "estimate", lambda model, rgb: [])
    with pytest.raises(ModelError, match="finds nobody"):
        quantize.calibrate(TINY, quantize.calibration_pictures(TINY, 1))


def test_command_line_asks_for_a_kind():
    command = [sys.executable, "-m", "zoo.quantize", str(TINY), "--out", "unused"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False)
    assert result.returncode == 2 and "--calibration" in result.stderr


def _measurements(folder):
    figures = {"iou": 0.5, "found": 1.0}
    for name in int8_table.NAMES:
        (folder / f"{name}.evaluation").mkdir()
        report = {"sets": {"photos": {"picture": figures, "people": figures}, "pairs": {"picture": figures, "people": {}}}}
        (folder / f"{name}.evaluation" / "report.json").write_text(json.dumps(report))
    frames = {name: {"frame": ms} for name, ms in zip("abc", (100, 110, 70))}
    (folder / "onnxruntime.json").write_text(json.dumps(frames))
    size = {"load_ms": 300.0, "peak_bytes": 120e6, "people": [{"whole": 80.0}]}
    machine = {"processor": "abacus", "cores": 2, "load": 3.0}
    models = [{"disk_bytes": 12e6, "sizes": [size]}] * 3
    (folder / "tract.json").write_text(json.dumps({"machine": machine, "models": models}))


def test_the_table_has_a_column_for_each_model(tmp_path):
    _measurements(tmp_path)
    lines = int8_table.table(tmp_path).splitlines()
    rows = [cells(line) for line in lines]
    assert ["photos: foreground IoU", "0.500", "0.500", "0.500"] in rows
    assert ["synthetic: people found", "-", "-", "-"] in rows
    assert ["ONNX Runtime, ms per frame", "100 (x1.00)", "110 (x1.10)", "70 (x0.70)"] in rows
    assert lines[-1].startswith("abacus, 2 cores, load 3.0 before timing; the machine was busy")
    (tmp_path / "tract.json").unlink()
    with pytest.raises(int8_table.TableError, match="tract.json"):
        int8_table.table(tmp_path)


def test_tables_go_between_their_marks(tmp_path):
    text = "before\n<!-- int8 -->\nold\n<!-- /int8 -->\nafter\n"
    assert marked.replace(text, "int8", "new\n") == text.replace("old", "new")
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(marked.MarkError, match="README.md: the marks <!-- bench -->"):
        marked.replace_in(path, "bench", "new")
    assert path.read_text() == text


def test_onnxruntime_is_timed_by_stage(folders):
    models = {name: ExportedModel(folder) for name, folder in {"float": TINY, **folders}.items()}
    figures = bench_onnxruntime.measure(models, 64, 1)
    for stages in figures.values():
        assert stages["frame"] == sum(stages[stage] for stage in quantize.STAGES) > 0
    assert bench_onnxruntime.table(figures).count("(1.00)") >= 4
