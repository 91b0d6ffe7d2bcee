"""Averages checkpoints of one network: python -m zoo.average CHECKPOINT CHECKPOINT... --out FILE

The mean of the weights of trainings that began at the same weights, or one after the other, is often better than each
of them (Wortsman et al., *Model soups*, 2022). The result is to be trained on from (`zoo.train --init`), evaluated or
exported like any checkpoint; nothing but weights is in it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from zoo import checkpoint
from zoo.checkpoint import CheckpointError
from zoo.config import get_config
from zoo.network import ParsingRCNN


def average(paths: list[Path]) -> ParsingRCNN:
    """The network with the mean of all weights and statistics; `CheckpointError` where files do not go together."""
    contents = [checkpoint.read(path) for path in paths]
    name = contents[0].get("config")
    if name is None:
        raise CheckpointError(f"{paths[0]}: does not say which network it is; only checkpoints of zoo.train do")
    network = ParsingRCNN(get_config(name))
    mean: dict[str, torch.Tensor] = {}
    for path, content in zip(paths, contents):
        if content.get("config") != name:
            raise CheckpointError(f"{path}: is of the network {content.get('config')}, {paths[0]} of {name}")
        checkpoint.load_state(network, content["model"], path)
        for key, value in network.state_dict().items():
            # Counters of batches are no weights: the last one's.
            mean[key] = mean.get(key, 0) + value.double() / len(paths) if value.is_floating_point() else value.clone()
    network.load_state_dict(mean)
    return network


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m zoo.average", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if len(args.checkpoints) < 2:
        parser.error("there is nothing to average in a single checkpoint")
    try:
        network = average(args.checkpoints)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    checkpoint.save(args.out, network)
    print(f"wrote {args.out}: the mean of {len(args.checkpoints)} checkpoints of {network.config.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
