"""Data-parallel training by processes: each has its own scenes and network, gradients are averaged every step.

On a CPU two processes of one thread each are faster than one process of two threads, because much of a step (RoIs,
matching, suppression) runs on one thread only.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """One process among ``size`` that train together; `Team()` is a process on its own."""

    rank: int = 0
    size: int = 1

    def average(self, parameters: list[nn.Parameter], numbers: list[float]) -> list[float]:
        """Replaces all gradients by their means over the team and returns the means of ``numbers``."""
        if self.size == 1:
            return numbers
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients] + [gradients[0].new_tensor(numbers)])
        dist.all_reduce(flat)
        flat /= self.size
        *means, numbers = flat.split([g.numel() for g in gradients] + [len(numbers)])
        for parameter, gradient, mean in zip(parameters, gradients, means):
            parameter.grad = gradient.copy_(mean.view(gradient.shape))
        return numbers.tolist()

    def share(self, model: nn.Module) -> None:
        """Gives everybody the weights of the first process."""
        if self.size > 1:
            for tensor in [*model.parameters(), *model.buffers()]:
                dist.broadcast(tensor.data, 0)


def train_together(size: int, work: Callable[[Team], int]) -> int:
    """Runs ``work`` in ``size`` processes and returns the worst of their results; SIGTERM and SIGINT are passed on to them.

    A member that fails closes its connections, which ends the others too.
    ``work`` has to be picklable (a module's function or a `functools.partial` of one).
    """
    if size == 1:
        return work(Team())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = mp.get_context("spawn")
    members = [context.Process(target=_member, args=(rank, size, port, work)) for rank in range(size)]
    for member in members:
        member.start()

    def pass_on(number: int, _frame) -> None:
        for member in members:
            if member.is_alive():
                os.kill(member.pid, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    for member in members:
        member.join()
    return max(abs(member.exitcode) for member in members)


def _member(rank: int, size: int, port: int, work: Callable[[Team], int]) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    device = torch.cuda.is_available() and torch.cuda.device_count() >= size
    if device:
        torch.cuda.set_device(rank)
    backend = "nccl" if device else "gloo"
    dist.init_process_group(backend, init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    try:
        result = work(Team(rank, size))
        if result == 0:
            dist.barrier()  # who leaves earlier closes connections that the others still use
    finally:
        dist.destroy_process_group()
    raise SystemExit(result)
