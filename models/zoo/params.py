"""Prints how many parameters the networks have: python -m zoo.params

Counted as the paper counts: everything trainable, BatchNorm of the frozen backbone not included.
"""

from torch import nn

from zoo.config import CONFIGS
from zoo.network import ParsingRCNN

# As printed by Rakhimov et al., WACV 2021.
PAPER = {"mobile_parsing_rcnn_b": "3.35M"}


def count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def parts(model: ParsingRCNN) -> dict[str, int]:
    """Parameters by part of the network, and their sum as "total"."""
    heads = model.roi_heads
    counts = {
        "backbone": count(model.backbone.bottom_up),
        "neck": count(model.backbone) - count(model.backbone.bottom_up),
        "rpn": count(model.proposal_generator),
        "box": count(heads["box_head"]) + count(heads["box_predictor"]),
        "densepose": count(heads["densepose_head"]) + count(heads["densepose_predictor"]),
    }
    return {**counts, "total": count(model)}


def main() -> None:
    columns = ["backbone", "neck", "rpn", "box", "densepose", "total"]
    print(f"{'network':24}" + "".join(f"{column:>12}" for column in (*columns, "paper")))
    for name, config in CONFIGS.items():
        counts = parts(ParsingRCNN(config))
        numbers = "".join(f"{counts[column]:12,}" for column in columns)
        print(f"{name:24}{numbers}{PAPER.get(name, '-'):>12}")


if __name__ == "__main__":
    main()
