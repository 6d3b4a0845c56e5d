"""Muon: momentum whose every update turns a matrix alike in all directions.

    optimizer = Muon(matrices, rate=0.02)

After K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Matrices between
hidden layers learn from half as many samples as by AdamW; embeddings and vectors are not for it. torch has
one of its own, which turns in half precision: on a CPU that takes twenty times as long as this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Muon:
    """Learns matrices, as torch's optimizers do; what has more than two dimensions is rows of its first.

    Args:
        matrices: The weights.
        rate: Of learning: about the size by which every direction of a square matrix changes in a step.
        momentum: How much of the gradients before is kept.

    """

    def __init__(self, matrices: Iterable[torch.Tensor], rate: float, momentum: float = 0.95) -> None:
        import torch  # noqa: PLC0415

        self._weights = list(matrices)
        self._means = [torch.zeros_like(weight, requires_grad=False) for weight in self._weights]
        self._momentum = momentum
        self.param_groups: list[dict[str, Any]] = [{"lr": rate}]
        """One, whose ``lr`` is the rate."""

    def step(self) -> None:
        """Change each weight that has a gradient."""
        import torch  # noqa: PLC0415

        rate = self.param_groups[0]["lr"]
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._means, strict=True):
                if weight.grad is None:
                    continue
                mean.lerp_(weight.grad, 1 - self._momentum)
                # Nesterov's way: as if the mean had been moved once more.
                update = turned(weight.grad.lerp(mean, self._momentum).flatten(1))
                rows, columns = update.shape
                weight.add_(update.view_as(weight), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept to go on."""
        return {"means": self._means}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what was kept."""
        for mean, kept in zip(self._means, state["means"], strict=True):
            mean.copy_(kept)


def turned(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with all its singular values near 1, by five steps of Newton and Schulz's iteration."""
    tall = matrix.shape[0] > matrix.shape[1]
    found = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = found @ found.T
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    return found.T if tall else found
