"""Policies that watch the model: gradnorm, plasticity, weight_delta."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from freezelib.policies.base import EpochStats, ObservingPolicy

Rows = list[tuple[float, ...]]


class GradNorm(ObservingPolicy):
    """Freezes the leading blocks whose gradients change least (AutoFreeze, Liu et al. 2021).

    At each check the gradient norms summed since the last one are held against those before:
    ``|before - now| / before``. The blocks ahead of the first that reaches the percentile of all
    trained blocks are frozen.

    Args:
        percentile: Of the relative changes, over the blocks that are trained.
        checks: How often in a training; at most once an epoch.
    """

    needs = frozenset({"gradient_norm"})
    measured = "gradient_norm"

    def __init__(self, *, percentile: float = 50.0, checks: int = 20) -> None:
        super().__init__()
        if not 0 <= percentile <= 100 or checks < 1:
            raise ValueError(
                "0 <= percentile <= 100 and checks >= 1 must hold, but got "
                f"{percentile} and {checks}."
            )
        self._percentile, self._checks = percentile, checks

    def _converged(self, seen: Rows, stats: EpochStats) -> int:
        interval = max(1, int(stats.epochs // self._checks))
        if len(seen) < 2 * interval or len(seen) % interval:
            return stats.k
        before = np.sum(seen[-2 * interval : -interval], axis=0)[stats.k :]
        now = np.sum(seen[-interval:], axis=0)[stats.k :]
        change = np.abs(before - now) / np.maximum(before, np.finfo(float).tiny)
        return stats.k + int(np.argmax(change >= np.percentile(change, self._percentile)))


class Plasticity(ObservingPolicy):
    """Freezes the leading blocks whose plasticity no longer falls (Egeria, Wang et al. 2023).

    Plasticity is how far a block's output on probe images has moved from a snapshot a few epochs
    old. A block is done when the slope of its plasticity, over a window and as a share of the
    largest that it had, stays under the tolerance at several checks.

    Args:
        tolerance: Largest absolute slope per epoch of a block that is done.
        window: Epochs over which the slope is fitted.
        checks: Successive epochs at which it must be small.
    """

    needs = frozenset({"plasticity"})
    measured = "plasticity"

    def __init__(self, *, tolerance: float = 0.05, window: int = 3, checks: int = 2) -> None:
        super().__init__()
        if tolerance <= 0 or window < 2 or checks < 1:
            raise ValueError(
                "tolerance > 0, window >= 2 and checks >= 1 must hold, but got "
                f"{tolerance}, {window} and {checks}."
            )
        self._tolerance, self._window, self._checks = tolerance, window, checks

    def _converged(self, seen: Rows, stats: EpochStats) -> int:
        if len(seen) < self._window + self._checks - 1:
            return stats.k

        def still(block: int) -> bool:
            values = [row[block] for row in seen]
            ends = range(len(values) - self._checks + 1, len(values) + 1)
            windows = (values[end - self._window : end] for end in ends)
            return all(abs(_slope(w)) <= self._tolerance * max(values) for w in windows)

        return _leading(still, stats)


class WeightDelta(ObservingPolicy):
    """Freezes the leading blocks whose weights hardly move.

    Args:
        tolerance: Largest change in one epoch, as a share of the weights' norm.
        checks: Successive epochs at which it must be small.
    """

    needs = frozenset({"weight_delta"})
    measured = "weight_delta"

    def __init__(self, *, tolerance: float = 0.05, checks: int = 2) -> None:
        super().__init__()
        if tolerance <= 0 or checks < 1:
            raise ValueError(
                f"tolerance > 0 and checks >= 1 must hold, but got {tolerance} and {checks}."
            )
        self._tolerance, self._checks = tolerance, checks

    def _converged(self, seen: Rows, stats: EpochStats) -> int:
        if len(seen) < self._checks:
            return stats.k
        return _leading(
            lambda block: all(row[block] <= self._tolerance for row in seen[-self._checks :]),
            stats,
        )


def _leading(done: Callable[[int], bool], stats: EpochStats) -> int:
    """The first block from the freeze point on that is not done."""
    return next((b for b in range(stats.k, stats.num_cuts) if not done(b)), stats.num_cuts)


def _slope(values: Sequence[float]) -> float:
    """Of the least-squares line through equidistant values."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    return float(x @ np.asarray(values) / (x @ x))
