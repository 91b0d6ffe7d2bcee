"""What the commands share that label photographs by a trained network: command line, checks, processes with the network."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch

from zoo import checkpoint, data
from zoo.network import ParsingRCNN

Job = TypeVar("Job")
Result = TypeVar("Result")


def command(
    name: str, description: str, label_folder: Callable[[argparse.Namespace], None], arguments: list[str] | None
) -> int:
    """Parses CHECKPOINT --photos DIR --out DIR [--workers N] and labels the folder; the exit status, errors go to stderr."""
    parser = argparse.ArgumentParser(
        f"python -m {name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="a data folder (format: see zoo/data.py)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write or continue")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (one per core)")
    args = parser.parse_args(arguments)
    try:
        label_folder(args)
    except (checkpoint.CheckpointError, data.DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def begin(args: argparse.Namespace) -> list[tuple[data.Entry, dict]]:
    """The pictures of --photos, each with its index record, and --out made; raises before any work where that cannot be done."""
    checkpoint.load(args.checkpoint)  # what is wrong with it is reported here, not by every worker
    entries = data.read_index(args.photos)
    if args.out.resolve() == args.photos.resolve():
        raise data.DataError(f"{args.out}: holds the labels it begins with; choose another folder for --out")
    records = map(json.loads, (args.photos / "index.jsonl").read_text().splitlines())
    args.out.mkdir(parents=True, exist_ok=True)
    return list(zip(entries, records))


def fill_folder(
    args: argparse.Namespace,
    work: Callable[[ParsingRCNN, tuple[data.Entry, dict, Path]], tuple[dict, np.ndarray]],
    files: tuple[str, ...],
    report: Callable[[np.ndarray], str],
) -> None:
    """Labels the pictures of --photos into --out and goes on where an earlier call stopped; those of split `val` stay.

    ``files``: keys of the index records whose files remain in --photos. ``work`` returns a picture's record and counts,
    ``report`` says in words what the sum of the counts means.
    """
    index = args.out / "index.jsonl"
    pictures = begin(args)
    done = {json.loads(line)["file"] for line in index.read_text().splitlines()} if index.exists() else set()
    jobs = []
    with index.open("a") as lines:
        for entry, record in pictures:
            record |= {key: os.path.relpath(args.photos / record[key], args.out) for key in files if record.get(key)}
            if record["file"] in done:
                continue
            if entry.split == "val":
                lines.write(json.dumps(record) + "\n")
            else:
                jobs.append((entry, record, args.out))
        total = 0
        for number, (record, counts) in enumerate(by_workers(work, jobs, args), 1):
            lines.write(json.dumps(record) + "\n")
            lines.flush()
            total = total + counts
            if number % 100 == 0 or number == len(jobs):
                print(f"{number}/{len(jobs)} pictures; {report(total)}", flush=True)


def by_workers(
    work: Callable[[ParsingRCNN, Job], Result], jobs: list[Job], args: argparse.Namespace
) -> Iterator[Result]:
    """``work`` (a function of a module) of the network and each job, in order, by --workers processes."""
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads as locks that nobody opens
    with ProcessPoolExecutor(args.workers, fresh, initializer=_open, initargs=(args.checkpoint,)) as pool:
        yield from pool.map(partial(_with_model, work), jobs, chunksize=4)


def _open(path: Path) -> None:
    global _model
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _model = checkpoint.load(path).to(memory_format=torch.channels_last)


def _with_model(work: Callable[[ParsingRCNN, Job], Result], job: Job) -> Result:
    return work(_model, job)
