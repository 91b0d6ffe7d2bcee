"""Prints how many parameters the networks have, beside what the paper prints: python -m zoo.params [NAME ...]

Counted as the paper counts: everything trainable, BatchNorm of the frozen backbone not included. The table is Markdown.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import nn

from zoo import markdown
from zoo.config import CONFIGS, get_config
from zoo.network import ParsingRCNN
from zoo.paper import DETECTRON2, PARAMETERS
from zoo.settings import Config

PARTS = ["backbone", "neck", "rpn", "box", "densepose"]


def count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def parts(model: ParsingRCNN) -> dict[str, int]:
    """Parameters by part of the network (a decoder belongs to the DensePose head), and their sum as "total"."""
    heads = model.roi_heads
    densepose = [module for name, module in heads.items() if not name.startswith("box_")]
    counts = {
        "backbone": count(model.backbone.bottom_up),
        "neck": count(model.backbone) - count(model.backbone.bottom_up),
        "rpn": count(model.proposal_generator),
        "box": count(heads["box_head"]) + count(heads["box_predictor"]),
        "densepose": sum(count(module) for module in densepose),
    }
    return {**counts, "total": count(model)}


def count_config(config: Config) -> dict[str, int]:
    """`parts` of the network that `config` describes, without making its weights."""
    with torch.device("meta"):
        return parts(ParsingRCNN(config))


def table(configs: Sequence[Config]) -> str:
    """A Markdown table, one row per network."""
    rows = []
    for config in configs:
        counts = count_config(config)
        cells = [config.name, *(f"{counts[name]:,}" for name in (*PARTS, "total"))]
        rows.append([*cells, f"{counts['total'] / 1e6:.2f}", PARAMETERS.get(config.name, "-")])
    return markdown.table(["network", *PARTS, "total", "M", "paper, M"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks to count; default: ours and the paper's")
    names = parser.parse_args().names or [name for name in CONFIGS if CONFIGS[name] not in DETECTRON2]
    try:
        configs = [get_config(name) for name in names]
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(table(configs))


if __name__ == "__main__":
    main()
