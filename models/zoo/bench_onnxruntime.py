"""How fast ONNX Runtime runs exported models, stage by stage: float beside 8 bits, for instance.

    python -m zoo.bench_onnxruntime MODEL_DIR... [--short-side N] [--rounds N] [--threads N] [--json FILE]

A frame is 16:9 noise; the box head gets as many regions as the model keeps proposals, the DensePose head one person.
Models take turns, and at beginning, so that what else the machine does slows all of them down; figures are medians in milliseconds, and
for each model the ratio to the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from zoo import markdown
from zoo.exported import ExportedModel, ModelError

STAGES = ("trunk", "box_head", "densepose_head")


def inputs(model: ExportedModel, short_side: int | None) -> dict[str, torch.Tensor]:
    """Noise for each stage, shaped as in a frame of 16:9."""
    config = model.config
    height = short_side or config.input.short_side
    divisor = config.input.size_divisor
    sides = [-(-side // divisor) * divisor for side in (height, round(height * 16 / 9))]
    shapes = {
        "trunk": [1, 3, *sides],
        "box_head": [config.rpn.post_nms_topk, config.channels, config.box.resolution, config.box.resolution],
        "densepose_head": [1, config.channels, config.densepose.resolution, config.densepose.resolution],
    }
    generator = torch.Generator().manual_seed(0)
    return {stage: torch.randn(shape, generator=generator) for stage, shape in shapes.items()}


def measure(models: dict[str, ExportedModel], short_side: int | None, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of each stage and of a frame, by model."""
    tensors = {name: inputs(model, short_side) for name, model in models.items()}
    times = {name: {stage: [] for stage in STAGES} for name in models}
    order = list(models.items())
    for round_ in range(rounds + 1):
        order.append(order.pop(0))  # whoever begins is slower on a busy machine
        for stage in STAGES:
            for name, model in order:
                start = time.perf_counter()
                getattr(model, stage)(tensors[name][stage])
                if round_:  # the first one warms up
                    times[name][stage].append(1e3 * (time.perf_counter() - start))
    medians = {name: {stage: statistics.median(t) for stage, t in stages.items()} for name, stages in times.items()}
    return {name: stages | {"frame": sum(stages.values())} for name, stages in medians.items()}


def table(figures: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    first = next(iter(figures.values()))
    rows = [
        [name, *(f"{value:.1f} ({value / first[stage]:.2f})" for stage, value in stages.items())]
        for name, stages in figures.items()
    ]
    return markdown.table([f"ms (ratio to {next(iter(figures))})", *first], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="model directories")
    parser.add_argument("--short-side", type=int, help="of the frame in the network (default: the model's own)")
    parser.add_argument("--rounds", type=int, default=15, help="default 15")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    try:
        models = {}
        for directory in arguments.models:
            model = ExportedModel(directory, arguments.threads)
            models[model.config.name] = model
        figures = measure(models, arguments.short_side, max(arguments.rounds, 1))
        print(table(figures))
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    except (ModelError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
