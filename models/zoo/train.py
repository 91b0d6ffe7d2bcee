"""Trains a whole two-stage network (RPN, box head, DensePose head) on photos and synthetic people.

The run lives in a folder: last.pt (everything needed to go on, and the averaged weights that evaluation and export
use), log.jsonl (one line per report). Start the same command again to go on where it stopped; Ctrl-C and SIGTERM
save first. Synthetic shards that appear while it runs are picked up.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint, losses
from .config import CONFIGS, get_config
from .data import CALM, LIVELY, Collection, DataError, SceneBatches, batches
from .frozen import depthwise_by_loops, fold_batch_norm, freeze_stages, pointwise_by_onednn
from .muon import Muon, is_matrix
from .negatives import NegativesError
from .network import ParsingRCNN
from .parallel import Team, train_together
from .steps import Sampling, loss_terms

EXAMPLE = """example:
  python -m zoo.train --photos DATA/photos --backgrounds DATA/backgrounds --synthetic DATA/synthetic \\
      --out runs/default --hours 8

Two CPU cores do some 4000 steps of 8 scenes an hour (--processes 2 --threads 1). The rate is constant after the warm-up,
and the run goes on until it is stopped, or until --hours or --steps are over; started again, it goes on with scenes that it
has not drawn. For a release, let the rate fall in a copy of the run:

  cp -r runs/default runs/release
  python -m zoo.train ... --out runs/release --fall 600
"""


@dataclass
class Options:
    """How a run goes; the command line's options of the same names explain them."""

    config: str = "default"
    steps: int = 0
    hours: float = 0.0
    fall: int = 0
    batch_size: int = 8
    lr: float = 1e-3
    backbone_lr: float = 3e-4
    warmup: int = 300
    weight_decay: float = 0.02
    clip: float = 10.0
    ema: float = 0.999
    grow: bool = False
    freeze: int = 2
    people: int = 20
    seed: int = 0
    workers: int = 1
    log_every: int = 20
    save_minutes: float = 3.0


class Trainer:
    """Network, averaged network, optimiser and where they are in the run."""

    def __init__(self, options: Options, out: Path, device: torch.device, team: Team = Team()):
        self.options = options
        self.team = team
        self.device = device
        self.path = out / "last.pt"
        self.model = ParsingRCNN(get_config(options.config)).to(device)
        self.step = 0
        self.drawn = 0  # batches that the team has learned from: the number of the next one
        self.falls_from = 0  # step from which the rate falls, where it does
        self.seconds = 0.0  # of training so far, over all starts
        self.skipped = 0  # steps in a row without finite gradients
        self.stopped = False  # somebody in the team was asked to stop

    def begin(self, init: Path | None) -> None:
        """From a checkpoint's weights, or from ImageNet's where the backbone has them."""
        if init is not None:
            contents = checkpoint.read(init)
            self.drawn = contents.get("drawn", 0)
            state = checkpoint.state_for(contents, self.model.config)
            if self.options.grow:
                state = self.model.state_dict() | state
            try:
                checkpoint.load_state(self.model, state, init)
            except checkpoint.CheckpointError as error:
                hint = "" if self.options.grow else " If the network has got new blocks since, --grow begins with them."
                raise checkpoint.CheckpointError(f"{error}{hint}") from error
        elif self.options.config == "default":
            self.model.load_imagenet()
        self._prepare()

    def resume(self) -> None:
        """Goes on from ``last.pt``."""
        saved = checkpoint.read(self.path)
        if saved.get("config") != self.options.config or "optimizers" not in saved:
            raise checkpoint.CheckpointError(
                f"{self.path}: is no interrupted run of {self.options.config!r}; choose another --out, or use it with --init"
            )
        checkpoint.load_state(self.model, saved["raw"], self.path)
        self._prepare()
        checkpoint.load_state(self.average, saved["model"], self.path)
        rates = [group["peak"] for group in self.groups]  # today's, not those of the earlier start
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        for group, rate in zip(self.groups, rates):
            group["peak"] = rate
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.drawn = saved["drawn"]
        self.falls_from = saved["falls_from"] or self.step

    def _prepare(self) -> None:
        self.model = self.model.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        bottom_up = self.model.backbone.bottom_up
        freeze_stages(bottom_up, self.options.freeze)
        fold_batch_norm(bottom_up)
        pointwise_by_onednn(self.model)
        if self.device.type == "cpu":
            depthwise_by_loops(self.model)
        self.team.share(self.model)
        matrices, others = self._groups()
        self.optimizers = [torch.optim.AdamW(others, fused=True), Muon(matrices)]

    @property
    def groups(self) -> list[dict]:
        """The parameter groups of both optimisers."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def _groups(self) -> tuple[list[dict], list[dict]]:
        """Parameter groups for Muon and for AdamW.

        Backbone and the rest have their own rates; biases, norms and scalars do not decay. Muon gets the matrices of neck
        and heads, but for the last layers: a backbone that comes with weights is to change little, and the last layers'
        rows are quantities of different kinds.
        """
        matrices, others = [], []
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            backbone = name.startswith("backbone.bottom_up.")
            last = "predictor." in name or name.startswith("proposal_generator.rpn_head.") and ".conv." not in name
            rate = self.options.backbone_lr if backbone else self.options.lr
            decay = self.options.weight_decay if parameter.dim() > 1 else 0.0
            chosen = matrices if not backbone and not last and is_matrix(parameter) else others
            group = next((g for g in chosen if (g["peak"], g["weight_decay"]) == (rate, decay)), None)
            if group is None:
                group = {"params": [], "lr": rate, "peak": rate, "weight_decay": decay}
                chosen.append(group)
            group["params"].append(parameter)
        return matrices, others

    @property
    def progress(self) -> float:
        """0..1 of the planned steps or hours, whichever is further; 0 where there is no plan."""
        if self.options.fall:
            return min((self.step - self.falls_from) / self.options.fall, 1.0)
        by_steps = self.step / self.options.steps if self.options.steps else 0.0
        by_time = self.seconds / (self.options.hours * 3600) if self.options.hours else 0.0
        return min(max(by_steps, by_time), 1.0)

    def train_step(self, batch, stop: bool = False) -> dict[str, Tensor]:
        """One update by the whole team; returns the loss terms and the gradient's norm. ``stop`` is told to the others."""
        begun = time.monotonic()
        options = self.options
        draw = self.drawn + self.team.rank
        torch.manual_seed(options.seed * 1_000_003 + draw)  # a resumed run draws what the whole run would have
        factor = rate_factor(self.step, self.progress if options.fall else 0.0, options.warmup)
        for group in self.groups:
            group["lr"] = group["peak"] * factor
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            terms = loss_terms(self.model, batch.to(self.device), Sampling(people=options.people // self.team.size))
        loss = losses.total(terms)
        self.model.zero_grad()
        loss.backward()
        trained = [p for group in self.groups for p in group["params"]]
        seconds = self.seconds + time.monotonic() - begun
        self.seconds, anybody = self.team.average(trained, [seconds, float(stop)])  # all must see the same progress
        self.stopped = anybody > 0
        norm = nn.utils.clip_grad_norm_(trained, options.clip)
        if norm.isfinite():
            for optimizer in self.optimizers:
                optimizer.step()
            if self.team.rank == 0:
                self._follow()
            self.skipped = 0
        else:
            self.skipped += 1
            if self.skipped == 20:
                raise FloatingPointError("no finite gradient for 20 steps; lower --lr or start from an earlier checkpoint")
        self.step += 1
        self.drawn += self.team.size
        return {"loss": loss.detach(), **{k: v.detach() for k, v in terms.items()}, "gradient": norm}

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the averaged network; young averages forget faster."""
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floats], [theirs[n] for n in floats], 1.0 - decay)

    def save(self) -> None:
        checkpoint.save(
            self.path,
            self.average,
            raw=self.model.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
            step=self.step,
            drawn=self.drawn,
            falls_from=self.falls_from if self.options.fall else 0,
            seconds=self.seconds,
            batch_size=self.options.batch_size,
        )


def rate_factor(step: int, fallen: float, warmup: int) -> float:
    """Learning rate as a share of its peak: linear warm-up, then constant; ``fallen``, 0..1, of the way down to 1 %."""
    return (1.0 - 0.99 * fallen) * min(1.0, (step + 1) / max(warmup, 1))


class Report:
    """Means of the loss terms since the last report, to the console and to ``log.jsonl``."""

    def __init__(self, out: Path):
        self.file = (out / "log.jsonl").open("a")
        self.clear()

    def clear(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.begun = time.monotonic()

    def add(self, terms: dict[str, Tensor]) -> None:
        self.count += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def write(self, trainer: Trainer) -> None:
        options, elapsed = trainer.options, time.monotonic() - self.begun
        means = {name: round(value / self.count, 4) for name, value in self.sums.items()}
        left = trainer.seconds / trainer.progress * (1 - trainer.progress) if trainer.progress else 0.0
        rate = self.count * options.batch_size / elapsed
        factor = rate_factor(trainer.step, trainer.progress if options.fall else 0.0, options.warmup)
        line = {
            "step": trainer.step, "hours": round(trainer.seconds / 3600, 3), **means,
            "lr": round(options.lr * factor, 7), "scenes_per_s": round(rate, 2), "eta_minutes": round(left / 60, 1),
        }  # fmt: skip
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        print(" ".join(f"{name}={value:g}" for name, value in line.items()), flush=True)
        self.clear()


def run(
    options: Options,
    collection: Collection,
    out: Path,
    device: torch.device,
    init: Path | None = None,
    team: Team = Team(),
) -> Trainer:
    """Trains in the folder ``out`` until the plan is fulfilled or a signal comes; goes on where an earlier run stopped."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(options, out, device, team)
    if trainer.path.exists():
        trainer.resume()
        if team.rank == 0:
            print(f"going on from {trainer.path}, step {trainer.step}", flush=True)
    else:
        trainer.begin(init)
    received = _note_signals()
    report = Report(out)
    saved = time.monotonic()
    dataset = SceneBatches(collection, options.batch_size // team.size, options.seed)
    first = trainer.drawn + team.rank
    for batch in batches(dataset, range(first, 1 << 40, team.size), options.workers):
        if trainer.progress >= 1.0 or trainer.stopped:
            break
        report.add(trainer.train_step(batch, stop=bool(received)))
        if team.rank > 0:
            continue
        if trainer.step % options.log_every == 0:
            report.write(trainer)
        if time.monotonic() - saved > options.save_minutes * 60:
            trainer.save()
            saved = time.monotonic()
    if team.rank == 0:
        trainer.save()
        state = "stopped" if trainer.stopped else "finished"
        print(f"{state} at step {trainer.step}; {trainer.path} holds the weights", flush=True)
    return trainer


def _note_signals() -> list[int]:
    """A list that fills when Ctrl-C or SIGTERM comes; a second signal ends at once."""
    received: list[int] = []

    def note(number, _frame):
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return received


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m zoo.train", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Options()
    data = parser.add_argument_group("data (formats: see zoo/data.py)")
    data.add_argument("--photos", nargs="*", default=[], metavar="DIR", help="folders of labelled photos")
    data.add_argument(
        "--synthetic", nargs="*", default=[], metavar="DIR", help="folders of rendered shards (DIR/*/index.jsonl)"
    )
    data.add_argument("--backgrounds", nargs="*", default=[], metavar="DIR", help="folders of pictures without people")
    data.add_argument("--synthetic-share", type=float, default=0.5, metavar="X", help="share of rendered pictures (0.5)")
    data.add_argument(
        "--negatives", nargs="*", default=[], metavar="DIR", help="the same with an index (zoo/negatives.py): what is taken for people"
    )
    data.add_argument("--cut-outs", nargs="*", default=[], metavar="DIR", help="folders of things from them (zoo.cutouts)")
    data.add_argument(
        "--calm", action="store_true", help="fewer mosaics, pasted people, things and new clothes, for the last part of a run"
    )
    plan = parser.add_argument_group("plan")
    plan.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    plan.add_argument("--config", default=default.config, choices=list(CONFIGS), help="network (default)")
    plan.add_argument("--init", type=Path, metavar="FILE", help="begin with a checkpoint's weights instead of ImageNet's")
    plan.add_argument(
        "--grow", action="store_true", help="blocks that --init's file lacks begin as they are drawn (residual ones as identities)"
    )
    plan.add_argument("--hours", type=float, default=0.0, help="training time in all, interruptions not counted (no end)")
    plan.add_argument("--steps", type=int, default=0, help="steps in all (no end)")
    plan.add_argument("--fall", type=int, default=0, metavar="STEPS", help="let the rate fall to 1 %% in so many further steps, and end")
    plan.add_argument("--batch-size", type=int, default=None, help="scenes per step (8 on a CPU, 32 on a GPU)")
    plan.add_argument("--people", type=int, default=None, help="DensePose RoIs per step (2.5 per scene)")
    plan.add_argument("--seed", type=int, default=default.seed)
    learning = parser.add_argument_group("learning")
    learning.add_argument("--lr", type=float, default=default.lr, help="peak rate of neck and heads (%(default)s)")
    learning.add_argument("--backbone-lr", type=float, default=default.backbone_lr, help="of the backbone (%(default)s)")
    learning.add_argument("--warmup", type=int, default=default.warmup, help="steps of rising rate (%(default)s)")
    learning.add_argument("--weight-decay", type=float, default=default.weight_decay, help="(%(default)s)")
    learning.add_argument("--clip", type=float, default=default.clip, help="largest norm of the gradient (%(default)s)")
    learning.add_argument("--ema", type=float, default=default.ema, help="decay of the averaged weights (%(default)s)")
    learning.add_argument(
        "--freeze", type=int, default=default.freeze, help="backbone stages besides the stem that stay as they are (%(default)s)"
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default=None, help="cpu, cuda, ... (cuda where there is one)")
    machine.add_argument("--threads", type=int, default=0, help="CPU threads of each process (all cores)")
    machine.add_argument(
        "--processes", type=int, default=1, help="that share each batch; one per GPU, or one per CPU core (%(default)s)"
    )
    machine.add_argument("--workers", type=int, default=default.workers, help="loader processes (%(default)s)")
    machine.add_argument("--log-every", type=int, default=default.log_every, metavar="STEPS", help="(%(default)s)")
    machine.add_argument("--save-minutes", type=float, default=default.save_minutes, help="(%(default)s)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    args.batch_size = args.batch_size or (32 if torch.cuda.is_available() else 8)
    args.people = args.people or max(1, round(2.5 * args.batch_size))
    if args.batch_size % args.processes or args.people < args.processes:
        parser.error(f"--batch-size {args.batch_size} cannot be shared among {args.processes} processes")
    return train_together(args.processes, partial(_work, args))


def _work(args: argparse.Namespace, team: Team) -> int:
    """One process of a run; returns its exit status."""
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if args.threads:
        torch.set_num_threads(args.threads)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    options = Options(**{f.name: getattr(args, f.name) for f in fields(Options)})
    try:
        collection = Collection(
            args.photos,
            args.synthetic,
            args.backgrounds,
            synthetic_share=args.synthetic_share,
            scenery=CALM if args.calm else LIVELY,
            negative_folders=args.negatives,
            cut_outs=args.cut_outs,
        )
        if team.rank == 0:
            print(
                f"{len(collection.photos)} photos, {len(collection.synthetic)} synthetic pictures, "
                f"{len(collection.backgrounds)} backgrounds, {len(collection.negatives)} negatives, {len(collection.cut_outs)} things; {options} on {team.size} x {device}",
                flush=True,
            )
        run(options, collection, args.out, device, args.init, team)
    except (DataError, NegativesError, checkpoint.CheckpointError, FloatingPointError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # OpenMP threads that spin while they wait steal the cores from loader and neighbours; set before torch starts them.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(main())
