"""Muon: momentum whose every update turns a matrix alike in all directions.

    optimizer = Muon(matrices, rate=0.02)

After K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Matrices between
hidden layers learn from half as many samples as by AdamW; embeddings and vectors are not for it. torch has
one of its own, which turns in half precision: on a CPU that takes twenty times as long as this.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch's types are not read
    """Learns matrices; what has more dimensions than two is taken as rows of its first.

    Args:
        matrices: The weights.
        rate: Of learning: about the size by which every direction of a square matrix changes in a step.
        momentum: How much of the gradients before is kept.

    """

    def __init__(self, matrices: Iterable[torch.Tensor], rate: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": rate, "momentum": momentum})

    def step(self, closure: None = None) -> None:
        """Change each weight that has a gradient."""
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._change(weight, group["lr"], group["momentum"])

    def _change(self, weight: torch.Tensor, rate: float, momentum: float) -> None:
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        state["mean"].lerp_(weight.grad, 1 - momentum)
        # Nesterov's way: as if the mean had been moved once more.
        update = turned(weight.grad.lerp(state["mean"], momentum).flatten(1))
        rows, columns = update.shape
        weight.add_(update.view_as(weight), alpha=-rate * max(1.0, rows / columns) ** 0.5)


def turned(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with all its singular values near 1, by five steps of Newton and Schulz's iteration."""
    tall = matrix.shape[0] > matrix.shape[1]
    found = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = found @ found.T
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    return found.T if tall else found
