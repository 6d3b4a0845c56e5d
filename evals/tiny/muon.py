"""Muon optimizer: momentum with orthogonalised updates of matrices.

    optimizer = Muon(matrices, rate=0.02)

After K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Matrices between hidden
layers need half as many samples as with AdamW. It is not suitable for embeddings and vectors. torch's own Muon
orthogonalises in half precision, which takes twenty times as long on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Muon:
    """Updates matrices, with the interface of torch's optimizers. Further dimensions are flattened into the second.

    Args:
        matrices: The weights.
        rate: The learning rate: about the size by which every direction of a square matrix changes in a step.
        momentum: The share of the mean gradient that is kept.

    """

    def __init__(self, matrices: Iterable[torch.Tensor], rate: float, momentum: float = 0.95) -> None:
        import torch  # noqa: PLC0415

        self._weights = list(matrices)
        self._means = [torch.zeros_like(weight, requires_grad=False) for weight in self._weights]
        self._momentum = momentum
        self.param_groups: list[dict[str, Any]] = [{"lr": rate}]
        """One group, whose ``lr`` is the learning rate."""

    def step(self) -> None:
        """Change each weight that has a gradient."""
        import torch  # noqa: PLC0415

        rate = self.param_groups[0]["lr"]
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._means, strict=True):
                if weight.grad is None:
                    continue
                mean.lerp_(weight.grad, 1 - self._momentum)
                # Nesterov momentum: as if the mean had been moved once more.
                update = orthogonalised(weight.grad.lerp(mean, self._momentum).flatten(1))
                rows, columns = update.shape
                weight.add_(update.view_as(weight), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for weight in self._weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The state to save."""
        return {"means": self._means}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for mean, saved in zip(self._means, state["means"], strict=True):
            mean.copy_(saved)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with all singular values near 1, by five steps of the Newton–Schulz iteration."""
    tall = matrix.shape[0] > matrix.shape[1]
    scaled = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = scaled @ scaled.T
        scaled = 3.4445 * scaled + (-4.7750 * square + 2.0315 * square @ square) @ scaled
    return scaled.T if tall else scaled
