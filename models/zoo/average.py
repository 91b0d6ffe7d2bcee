"""Averages checkpoints of one network: python -m zoo.average CHECKPOINT CHECKPOINT... --out FILE

The mean of the weights of trainings that began at the same weights, or one after the other, is often better than each
of them (Wortsman et al., *Model soups*, 2022). With ``--grow``, blocks that a checkpoint lacks, because the network has
grown since (`zoo.train --grow`), are the mean of the others'. The result is to be trained on from (`zoo.train --init`),
evaluated or exported like any checkpoint; nothing but weights is in it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

from zoo import checkpoint
from zoo.checkpoint import CheckpointError
from zoo.config import get_config
from zoo.network import ParsingRCNN


def average(paths: list[Path], grow: bool = False) -> ParsingRCNN:
    """The network with the mean of all weights and statistics; `CheckpointError` where files do not go together.

    With ``grow``, a weight is the mean of those checkpoints that have it; one that none has is an error.
    """
    contents = [checkpoint.read(path) for path in paths]
    name = contents[0].get("config")
    if name is None:
        raise CheckpointError(f"{paths[0]}: does not say which network it is; only checkpoints of zoo.train do")
    network = ParsingRCNN(get_config(name))
    mean: dict[str, torch.Tensor] = {}
    counts = Counter(key for content in contents for key in content["model"])
    for path, content in zip(paths, contents):
        if content.get("config") != name:
            raise CheckpointError(f"{path}: is of the network {content.get('config')}, {paths[0]} of {name}")
        weights = content["model"]
        known = {key: value for key, value in network.state_dict().items() if counts[key]} if grow else {}
        checkpoint.load_state(network, known | weights, path)
        for key, value in network.state_dict().items():
            if not value.is_floating_point():
                mean[key] = value.clone()  # Counters of batches are no weights: the last one's.
            elif key in weights:
                mean[key] = mean.get(key, 0) + value.double() / counts[key]
    network.load_state_dict(mean)
    return network


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m zoo.average", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grow", action="store_true", help="some are of the network before it had all its blocks")
    args = parser.parse_args(arguments)
    if len(args.checkpoints) < 2:
        parser.error("there is nothing to average in a single checkpoint")
    try:
        network = average(args.checkpoints, args.grow)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    checkpoint.save(args.out, network)
    print(f"wrote {args.out}: the mean of {len(args.checkpoints)} checkpoints of {network.config.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
