"""The literal form of a zeroth-order step, as the reference implementations write it.

One global seed per step, a fresh Gaussian per tensor for every one of the four passes, and
out-of-place arithmetic. Written from the description of MeZO (arXiv 2305.17333, Algorithm 1) as
the peer that the benchmarks measure against.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class LiteralMeZO:
    """Four weight passes and two forwards per step."""

    def __init__(self, model: nn.Module, *, lr: float, eps: float = 1e-3) -> None:
        self.params = [p for p in model.parameters() if p.requires_grad]
        self.lr, self.eps, self.steps = lr, eps, 0

    def sweep(self, coef: float) -> None:
        """Add ``coef`` times the step's perturbation to all weights."""
        torch.manual_seed(self.steps)
        for p in self.params:
            z = torch.normal(mean=0, std=1, size=p.data.size(), dtype=p.data.dtype)
            p.data = p.data + coef * z

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> float:
        """Perturb, look, perturb, look, restore, update."""
        self.sweep(self.eps)
        plus = float(closure())
        self.sweep(-2 * self.eps)
        minus = float(closure())
        self.sweep(self.eps)
        self.sweep(-self.lr * (plus - minus) / (2 * self.eps))
        self.steps += 1
        return (plus + minus) / 2
