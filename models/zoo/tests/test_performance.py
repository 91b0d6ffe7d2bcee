"""The bench beside other runtimes: what it counts, how it compares, what its tables and picture say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from zoo import bench_ratios, contestants, inference, macs, performance
from zoo.bar_chart import Chart, draw
from zoo.config import get_config
from zoo.contestants import Case, ContestError, OnnxRuntime, Plugin, PyTorch, Witness
from zoo.random_weights import random_network
from zoo.tests.test_markdown import cells

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests" / "fixtures" / "tiny"
DEFAULT = ROOT / "models" / "default"

# Answers every request with its own length, so that what was asked is known.
ECHO = """#!{python}
import json, sys
for line in sys.stdin:
    word = line.split()[0]
    print(json.dumps({{"error": "no"}} if word == "box_head" else {{"ms": float(len(line.strip())), "gflops": 100.0}}), flush=True)
"""


@pytest.fixture
def echo(tmp_path):
    program = tmp_path / "echo"
    program.write_text(ECHO.format(python=sys.executable))
    program.chmod(0o755)
    return program


def _network(nodes, weights, shape):
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor(name, TensorProto.FLOAT, dims, np.zeros(dims).ravel()) for name, dims in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("nodes", "weights", "shape", "expected"),
    [
        # 5 x 4 results (stride 2, padded) of 6 channels, each of 3 x 3 x 4 / 2 groups terms.
        (
            [helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], group=2)],
            {"w": [6, 2, 3, 3]},
            [1, 4, 10, 8],
            5 * 4 * 6 * 18,
        ),
        # Each of 2 x 3 x 3 x 4 inputs goes into 5 channels of 4 x 4 results.
        (
            [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])],
            {"w": [2, 5, 4, 4]},
            [3, 2, 3, 4],
            3 * 2 * 3 * 4 * 5 * 16,
        ),
        ([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], {"w": [7, 12]}, [5, 12], 5 * 7 * 12),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": [12, 7]}, [5, 12], 5 * 7 * 12),
        ([helper.make_node("Relu", ["x"], ["y"])], {}, [5, 12], 0),
    ],
)
def test_macs_are_those_of_the_plain_sums(tmp_path, nodes, weights, shape, expected):
    onnx.save(_network(nodes, weights, ["N", *shape[1:]]), tmp_path / "network.onnx")
    assert macs.count(tmp_path / "network.onnx", shape) == expected
    if shape[0] > 1:
        assert macs.count(tmp_path / "network.onnx", [1, *shape[1:]]) * shape[0] == expected


def test_macs_of_a_network_are_those_that_pytorch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model, image = random_network(get_config("tiny")), torch.zeros(1, 3, 64, 96)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.trunk(image)
    counted = macs.count(TINY / "trunk.onnx", [1, 3, 64, 96])
    assert counted == counter.get_total_flops() // 2


def test_given_boxes_are_mapped():
    model = random_network(get_config("tiny"))
    rgb = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    boxes = contestants.side_by_side(200, 120, 3)
    people = inference.estimate(model, rgb, boxes)
    assert [person.score for person in people] == [1, 1, 1]
    np.testing.assert_allclose([person.box for person in people], boxes, atol=1e-3)
    assert people[1].iuv.shape == (80, 25, 3)


def test_everybody_runs_the_same_sizes(echo):
    exported, network = OnnxRuntime(TINY, 1), PyTorch("tiny", 1)
    for part, size, expected in [
        ("trunk", (64, 96), [1, 3, 64, 96]),
        ("box_head", (5,), [5, 16, 7, 7]),
        ("densepose_head", (2,), [2, 16, 16, 16]),
    ]:
        case = Case(part, size)
        assert contestants.shape(get_config("tiny"), case) == expected
        assert exported.turn(case) > 0 and network.turn(case) > 0
    frame = Case("frame", (64, 48, 32, 2))
    assert exported.turn(frame) is None and network.turn(frame) > 0
    with Plugin(echo, "some model", 2) as plugin:
        assert plugin.turn(frame) == len("frame 2 64 48 32 2 some model")


def test_who_cannot_take_part_says_why(tmp_path, echo):
    with pytest.raises(ContestError, match="cargo build --release --example bench_network"):
        Plugin(tmp_path / "missing", TINY, 1)
    with pytest.raises(ContestError, match="unknown network 'nobody'"):
        PyTorch("nobody", 1)
    with Plugin(echo, TINY, 1) as plugin, pytest.raises(ContestError, match="no .asked for: box_head 1 100"):
        plugin.turn(Case("box_head", (100,)))
    with Plugin("/bin/true", TINY, 1) as plugin, pytest.raises(ContestError, match="broke off at: peak 1"):
        plugin.peak()


class _Peaks:
    """Reaches these peaks, one after the other."""

    def __init__(self, *peaks):
        self._peaks = iter(peaks)

    def peak(self):
        return next(self._peaks)


class _Fixed:
    """Takes as long as told, and notes its turns."""

    def __init__(self, times, turns, name):
        self.times, self.turns, self.name = iter(times), turns, name

    def turn(self, case):
        self.turns.append(self.name)
        return next(self.times)


def test_turns_alternate_and_medians_count(monkeypatch):
    monkeypatch.setattr(bench_ratios, "settle", lambda: None)
    turns = []
    a, b, c = [100, 2, 9, 3], [100, 5, 6, 4], [None] * 4
    fixed = {name: _Fixed(times, turns, name) for name, times in {"a": a, "b": b, "c": c}.items()}
    assert bench_ratios.contest(fixed, Case("trunk", (32, 32)), 3, Witness(_Peaks(*[9.0] * 9))) == {"a": 3, "b": 5}
    assert "".join(turns) == "bca" + "cab" + "abc" + "bca"


def test_turns_of_a_disturbed_machine_are_taken_again(monkeypatch):
    monkeypatch.setattr(bench_ratios, "settle", lambda: None)
    # The first turn loads; the second is disturbed.
    witness = Witness(_Peaks(100.0, 98.0, 51.0, 104.0, 95.0))
    fixed = {"plugin": _Fixed([9, 5, 2, 4], [], "plugin")}
    assert bench_ratios.contest(fixed, Case("trunk", (32, 32)), 2, witness) == {"plugin": 3}
    assert witness.peak == 104.0
    # Nobody waits for ever.
    patience = bench_ratios.PATIENCE
    witness = Witness(_Peaks(100.0, 98.0, *[50.0] * patience))
    fixed = {"plugin": _Fixed(list(range(patience + 1)), [], "plugin")}
    assert bench_ratios.contest(fixed, Case("trunk", (32, 32)), 1, witness) == {"plugin": patience}


def _figures():
    trunk = {"title": "trunk, 256x480", "threads": 1, "mmac": 1000.0}
    frame = {"title": "frame 1280x720 at 512, 8 people", "threads": 2, "mmac": None}
    live = {"title": "frame 1280x720 at 256, 1 person", "threads": 2, "mmac": None}
    rows = [
        trunk | {"ms": {"plugin": 40.0, "onnxruntime": 50.0, "torch": 110.0}},
        trunk | {"threads": 2, "ms": {"plugin": 30.0, "onnxruntime": 20.0}},
        frame | {"ms": {"plugin": 100.0, "torch": 250.0}},
        live | {"ms": {"plugin": 30.0, "torch": 250.0}},
    ]
    model = {"model": "default", "rounds": 5, "peak": {"1": 100.0, "2": 150.0}, "rows": rows}
    return {"machine": {"processor": "abacus", "cores": 2, "versions": "versions"}, "models": [model]}


def test_the_table_says_ratio_goal_and_share():
    lines = bench_ratios.table(_figures()["models"][0]).splitlines()
    assert cells(lines[2]) == ["trunk, 256x480", "1", "40.0", "50.0", "110.0", "0.80", "<= 1.00: yes", "50 %"]
    assert cells(lines[3]) == ["trunk, 256x480", "2", "30.0", "20.0", "-", "1.50", "<= 1.00: **no**", "44 %"]
    assert cells(lines[4])[2:] == ["100.0", "-", "250.0", "0.40", "<= 0.33 of PyTorch: **no**", "-"]
    assert cells(lines[5])[2:] == ["30.0", "-", "250.0", "33 frames/s", ">= 25 frames/s: yes", "-"]


def test_reports_of_one_machine_are_joined():
    second = _figures()
    second["models"][0] |= {"model": "other", "peak": {"1": 90.0, "2": 200.0}}
    joined = bench_ratios.join([_figures(), second])
    assert [model["peak"] for model in joined["models"]] == [{"1": 100.0, "2": 200.0}] * 2
    text = bench_ratios.report(joined)
    assert text.startswith("abacus, 2 cores; versions; medians of 5 alternating rounds.")
    assert "100 GFLOP/s on 1 thread, 200 GFLOP/s on 2 threads." in text and "`default`:" in text and "`other`:" in text


def _growth(threads):
    stages = {"trunk": 20.0, "proposals": 1.0, "box_head": 2.0, "densepose_head": 3.0, "rest": 4.0}
    sizes = [
        {"short_side": side, "threads": threads, "people": [{"people": n, "whole": side / threads + n, **stages} for n in people]}
        for side, people in ((256, [1]), (512, [1, 8]))
    ]
    return {"people_size": 512, "models": [{"name": "default", "sizes": sizes}]}


def test_growth_is_told_by_size_people_and_threads():
    lines = performance.growth([_growth(2), _growth(1)]).splitlines()
    assert [cells(line) for line in (lines[2], *lines[4:6])] == [
        ["network", "threads", "256", "512"],
        ["default", "1", "257", "513"],
        ["default", "2", "129", "257"],
    ]
    for marks in (lines[3], lines[-3]):  # all columns but the first stand right
        assert [mark[-1] for mark in cells(marks)] == ["-", ":", ":", ":"]
    assert [cells(line) for line in lines[-2:]] == [["default", "1", "513", "520"], ["default", "2", "257", "264"]]


def test_the_profile_is_summed_by_kind():
    layers = [("a", "InvertedBottleneck", 2.0), ("b", "Convolution", 1.0), ("c", "InvertedBottleneck", 3.0)]
    profile = {"ms": 6.0, "layers": [{"layer": name, "kind": kind, "ms": ms} for name, kind, ms in layers]}
    trunk, frame = performance.charts({"default, 256x480": profile}, [_growth(1), _growth(2)])
    assert trunk == Chart("default, 256x480, trunk", {"inverted bottleneck": 5.0, "convolution": 1.0})
    assert sum(frame.bars.values()) == 30 and frame.bars["trunk"] == 20
    with pytest.raises(performance.MeasurementError, match="no growth-.*json has default at 300x400"):
        performance.charts({"default, 300x400": profile}, [_growth(1)])


def test_bars_are_as_long_as_their_figures():
    picture = np.asarray(draw([Chart("title", {"short": 1.0, "long": 3.0, "tiny": 0.001})], columns=1))
    blue = (picture == (0x3A, 0x78, 0xB5)).all(-1).sum(1)
    lengths = [length for before, length in zip(blue, blue[1:]) if length and not before]
    assert len(lengths) == 3 and lengths == sorted(lengths, reverse=True)
    assert lengths[0] / lengths[1] == pytest.approx(3, rel=0.02) and lengths[2] <= 2


def test_command_lines_explain_what_is_missing(tmp_path, echo):
    def run(*arguments):
        command = [sys.executable, "-m", *map(str, arguments)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "models", env=env, check=False)

    result = run("zoo.performance", tmp_path)
    assert result.returncode == 1 and "growth-*.json is missing; scripts/performance.sh writes it" in result.stderr
    result = run("zoo.bench_ratios", tmp_path / "nothing")
    assert result.returncode == 1 and "nothing/model.json" in result.stderr
    result = run("zoo.bench_ratios", TINY, "--program", tmp_path / "missing", "--threads", "1")
    assert result.returncode == 1 and "cargo build" in result.stderr


def test_measurements_become_tables_and_a_picture(tmp_path):
    (tmp_path / "ratios-default.json").write_text(json.dumps(_figures()))
    for threads in (1, 2):
        (tmp_path / f"growth-{threads}.json").write_text(json.dumps(_growth(threads)))
    layer = {"layer": "a", "kind": "Convolution", "ms": 1.0}
    (tmp_path / "profile-default@256x480.json").write_text(json.dumps({"ms": 1.0, "layers": [layer]}))
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    page.write_text("<!-- ratios -->\n<!-- /ratios -->\nbetween\n<!-- growth -->\n<!-- /growth -->\n")
    command = [sys.executable, "-m", "zoo.performance", tmp_path, "--into", page, "--picture", picture]
    subprocess.run([str(word) for word in command], cwd=ROOT / "models", check=True, capture_output=True)
    rows = [cells(line) for line in page.read_text().splitlines()]
    assert any("0.80" in row for row in rows) and ["default", "2", "257", "264"] in rows and picture.stat().st_size > 1000
