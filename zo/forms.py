"""Which of the two forms of an adapted linear layer is faster, by trying both.

The correlation costs ``period log period`` per input vector, the sum one pass over the layer's
weights, so it depends on the layer, on the batch and on the machine.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zo.adapted import Correlated, Materialised, Rows

TRIES = 3

Case = tuple[int, int, int, int]
"""Inputs, outputs, branches, and input vectors per branch rounded up to a power of two."""

Forms = dict[Case, str]
"""The faster form of every case met so far: ``correlation`` or ``sum``."""


class Measured(nn.Module):
    """A linear layer that takes the faster of its two forms.

    The first input of a kind runs through both, a few times; whatever is chosen, layers of equal
    size share it. The forms agree to rounding.

    Args:
        correlated: The layer as base plus correlation.
        materialised: The layer on the sum of base and periodic part.
        rows: The periodic part.
        forms: What has been chosen so far, shared by all layers of an adapter.
    """

    def __init__(
        self, correlated: Correlated, materialised: Materialised, *, rows: Rows, forms: Forms
    ) -> None:
        super().__init__()
        self.base, self._n_out = correlated.base, correlated.n_out
        self._shared, self._forms = rows, forms
        # As functions they are not registered, and so the base is, once.
        self._both: dict[str, Callable[[Tensor], Tensor]] = {
            "correlation": correlated.forward,
            "sum": materialised.forward,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return base output plus periodic part, shape ``(..., n_out)``."""
        case = self._case(x)
        if case not in self._forms:
            seconds = {name: _seconds(form, x) for name, form in self._both.items()}
            self._forms[case] = min(seconds, key=seconds.__getitem__)
        return self._both[self._forms[case]](x)

    def _case(self, x: Tensor) -> Case:
        branches = self._shared.branches
        vectors = x.numel() // x.shape[-1] // branches
        return (x.shape[-1], self._n_out, branches, 1 << (vectors - 1).bit_length())


@torch.no_grad()
def _seconds(form: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Return the shortest time of a form over a few tries, the first left out."""
    times = []
    for _ in range(1 + TRIES):
        began = _now(x)
        form(x)
        times.append(_now(x) - began)
    return min(times[1:])


def _now(x: Tensor) -> float:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter()
