"""The centred correlation of each channel with its counterpart under a view."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from freezelib.augment.moments import Moments
from freezelib.augment.views import View


@torch.no_grad()
def score_channels(prefix: nn.Module, batches: Iterable[Tensor], view: View) -> Tensor:
    """Correlation per channel between ``T'(f(x))`` and ``f(T(x))``, ``float64 [C]``."""
    return Moments.of(
        (view.apply(prefix(x)), prefix(view.apply(x))) for x in batches
    ).correlation()
