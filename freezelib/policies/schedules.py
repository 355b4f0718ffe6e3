"""Policies that follow the clock: never, manual, linear, alpha."""

from __future__ import annotations

import math

from freezelib.addresses import Value
from freezelib.policies.base import EpochStats, Policy


class Never(Policy):
    """Freezes nothing: the control."""

    def _target(self, stats: EpochStats) -> int:
        return 0


class Manual(Policy):
    """Freezes where it is told: ``manual:3=4,6=7`` at cut 4 after 3 epochs, at cut 7 after 6.

    Args:
        freezes: Finished epochs to freeze point, both as they stand in the address.

    Raises:
        ValueError: An entry is no pair of whole numbers, or a later freeze is not deeper.
    """

    def __init__(self, **freezes: Value) -> None:
        try:
            pairs = sorted((int(epoch), int(str(k))) for epoch, k in freezes.items())
        except ValueError:
            pairs = []
        depths = [k for _, k in pairs]
        if not pairs or pairs[0][0] < 0 or depths != sorted({*depths} - {0}):
            raise ValueError(
                "manual takes EPOCH=CUT,EPOCH=CUT with deeper cuts at later epochs, but got "
                f"{', '.join(f'{e}={k}' for e, k in freezes.items()) or 'nothing'}."
            )
        self._freezes = pairs

    def _target(self, stats: EpochStats) -> int:
        return max([0, *(k for epoch, k in self._freezes if epoch <= stats.epoch)])


class Linear(Policy):
    """Freezes at a constant pace (LayerFreezing of mosaicml/composer).

    Args:
        start: Share of the training after which freezing begins.
        fraction: Share of the cuts that would be frozen at the very end.
    """

    def __init__(self, *, start: float = 0.5, fraction: float = 2 / 3) -> None:
        _require_share(start=start, fraction=fraction)
        self._start, self._fraction = start, fraction

    def _target(self, stats: EpochStats) -> int:
        elapsed = (stats.epoch / stats.epochs - self._start) / max(1 - self._start, 1e-9)
        return math.floor(stats.num_cuts * self._fraction * max(elapsed, 0.0) + 1e-9)


class Alpha(Policy):
    """Each epoch freezes a share of what is left: ``ceil(B (1 - (1 - alpha)^t))`` of B cuts.

    He et al., PipeTransformer (ICML 2021): there alpha is 1/3, or 1/2 for speed.

    Args:
        alpha: The share.
        start: Share of the training after which the epochs ``t`` are counted.
    """

    def __init__(self, *, alpha: float = 0.2, start: float = 0.1) -> None:
        _require_share(alpha=alpha, start=start)
        self._alpha, self._start = alpha, start

    def _target(self, stats: EpochStats) -> int:
        elapsed = max(stats.epoch - math.ceil(self._start * stats.epochs - 1e-9), 0)
        return math.ceil(stats.num_cuts * (1 - (1 - self._alpha) ** elapsed) - 1e-9)


def _require_share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"0 <= {name} <= 1 must hold, but got {value}.")
