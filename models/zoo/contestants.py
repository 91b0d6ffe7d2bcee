"""What runs a model, for comparing speed: this plugin's library, ONNX Runtime and PyTorch, side by side.

A contestant takes turns at a `Case`: one run that is not counted, then the median of some that are, in milliseconds. What
a case needs is loaded in its first turn and kept until another case comes. After a turn its threads rest; `settle` waits
for those that go on spinning, so that they take no time from whoever is next.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from zoo import inference
from zoo.config import get_config
from zoo.exported import ExportedModel
from zoo.network import ParsingRCNN
from zoo.random_weights import random_network

RUNS = 5  # that count in a turn, ...
ENOUGH = 0.06  # ... fewer where one ends later than this, in seconds
FRAME_BOXES = 8  # that fit into a frame


class ContestError(RuntimeError):
    """Somebody cannot take part; the message says who, why and what helps."""


@dataclass(frozen=True)
class Case:
    """A part of a model and the size of its input."""

    part: str  # trunk, box_head, densepose_head or frame
    size: tuple[int, ...]  # (height, width), (boxes,) or, of a frame, (width, height, shorter side, people)


class Plugin:
    """This project's Rust code: the example `bench_network` in a process of its own."""

    def __init__(self, program: str | Path, model: str | Path, threads: int):
        self.model, self.threads = str(model), threads
        try:
            self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise ContestError(f"{program}: {error.strerror}; cargo build --release --example bench_network") from error

    def __enter__(self) -> Plugin:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def turn(self, case: Case) -> float:
        return self.ask(case.part, self.threads, *case.size, self.model)["ms"]

    def peak(self) -> float:
        """Floating-point operations per second that registers allow on these threads, in billions."""
        return self.ask("peak", self.threads)["gflops"]

    def profile(self, height: int, width: int) -> dict:
        """Milliseconds of the trunk (`ms`) and of its layers (`layers`, each with `layer`, `kind` and `ms`)."""
        return self.ask("profile", self.threads, height, width, self.model)

    def ask(self, *request: str | int) -> dict:
        line = " ".join(str(word) for word in request)
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        except (OSError, json.JSONDecodeError) as error:
            raise ContestError(f"{self._process.args[0]} broke off at: {line}") from error
        if "error" in answer:
            raise ContestError(f"{self._process.args[0]}: {answer['error']} (asked for: {line})")
        return answer


class Witness:
    """Tells when the machine gives less than it can, as virtual ones do whose cores' host is busy."""

    WHOLE = 0.9  # of the peak

    def __init__(self, plugin: Plugin):
        self._plugin = plugin
        self.peak = plugin.peak()  # the best so far: nothing but disturbances changes it

    def whole(self) -> bool:
        """Whether registers alone reach their peak now."""
        now = self._plugin.peak()
        self.peak = max(self.peak, now)
        return now >= self.WHOLE * self.peak


class OnnxRuntime:
    """The same files in ONNX Runtime's CPU provider; whole frames are not its business."""

    def __init__(self, model: str | Path, threads: int):
        self._exported = ExportedModel(model, threads)

    def turn(self, case: Case) -> float | None:
        if case.part == "frame":
            return None
        run, tensor = getattr(self._exported, case.part), noise(self._exported.config, case)
        return timed(lambda: run(tensor))


class PyTorch:
    """The network of the same name in PyTorch's eager mode, with random weights: the architecture that the files have."""

    def __init__(self, name: str, threads: int):
        try:
            self._network = _network(name)
        except ValueError as error:
            raise ContestError(f"PyTorch: {error}") from error
        self.threads = threads

    @torch.inference_mode()
    def turn(self, case: Case) -> float:
        torch.set_num_threads(self.threads)
        network = self._network
        if case.part == "frame":
            width, height, short_side, people = case.size
            network.config = get_config(network.config.name).tuned(short_side=short_side)
            rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
            boxes = side_by_side(width, height, people)
            return timed(lambda: inference.estimate(network, rgb, boxes))
        tensor = noise(network.config, case)
        return timed(lambda: getattr(network, case.part)(tensor))


@cache
def _network(name: str) -> ParsingRCNN:
    return random_network(get_config(name))


def shape(config, case: Case) -> list[int]:
    """Of a network's input (channels first)."""
    if case.part == "trunk":
        return [1, 3, *case.size]
    side = config.box.resolution if case.part == "box_head" else config.densepose.resolution
    return [*case.size, config.channels, side, side]


def noise(config, case: Case) -> torch.Tensor:
    return torch.randn(shape(config, case), generator=torch.Generator().manual_seed(0))


def side_by_side(width: int, height: int, people: int) -> np.ndarray:
    """Boxes (people, 4) of upright people over the frame's width, two thirds of its height, as the plugin has them."""
    step = width / max(people, FRAME_BOXES)
    return np.array([(i * step, height / 6, (i + 1) * step, height * 5 / 6) for i in range(people)])


def timed(run: Callable[[], object]) -> float:
    """One run that is not counted, and the median of those that are, in milliseconds."""
    run()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < RUNS and (not times or time.perf_counter() - begin < ENOUGH):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def settle(patience: float = 1.0) -> None:
    """Waits until this process takes no more time: ONNX Runtime's threads spin for some 40 ms after a run."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return
