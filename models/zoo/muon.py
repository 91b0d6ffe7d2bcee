"""Muon (Jordan et al. 2024): updates of weight matrices are made orthogonal before they are applied.

Momentum of a matrix is dominated by a few directions; with all singular values brought to about one, the rare directions
are learned as fast as the frequent ones. PyTorch's own takes matrices only, here a convolution's weight (outputs, inputs,
k, k) is the matrix (outputs, inputs * k * k).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

LEAST_SIDE = 16  # a matrix with fewer rows or columns (depthwise filters, a few outputs) is left to AdamW

# Newton-Schulz iteration of fifth order whose result has singular values of 0.7 to 1.2 after five rounds (Jordan et al.).
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


def is_matrix(weight: Tensor) -> bool:
    """Whether a convolution's or a linear layer's weight is large enough along both sides for Muon."""
    return weight.dim() > 1 and min(weight.shape[0], weight[0].numel()) >= LEAST_SIDE


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix (m, n) whose singular values are all one, roughly; a zero matrix stays zero."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal, with decoupled weight decay.

    Steps are scaled to the size of AdamW's (Liu et al., *Muon is scalable for LLM training*, 2025), so both take the same
    learning rate and decay.
    """

    def __init__(self, groups: Iterable[dict], lr: float = 1e-3, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonal(weight.grad.lerp(momentum, group["momentum"]).flatten(1))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view_as(weight), alpha=-0.2 * group["lr"] * max(update.shape) ** 0.5)
