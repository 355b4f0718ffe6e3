"""The policy that meets a target for the operations saved."""

from __future__ import annotations

import math
from itertools import pairwise

from freezelib.policies.base import EpochStats, Policy


class Budget(Policy):
    """Freezes one block after the other, as late as the target allows.

    Blocks freeze from the front, one every ``interval`` epochs, until ``fraction`` of the cuts are
    frozen; the first freeze is the latest for which the sum over the frozen blocks reaches the
    target (single-shot scheme of SpFDE, Yuan et al., NeurIPS 2022). A training step is counted as
    three forward passes; a frozen block saves all three with a cache, and without one the two of
    its backward pass. Blocks whose time has come while the guards held are frozen together.

    Args:
        saving: Target, as a share of the operations of a training without freezing.
        fraction: Share of the cuts that are frozen in the end.
        interval: Epochs between two freezes; 0 for a fortieth of the training, at least 1.
    """

    def __init__(
        self, *, saving: float = 0.25, fraction: float = 2 / 3, interval: int = 0
    ) -> None:
        if not (0 <= saving < 1 and 0 < fraction <= 1):
            raise ValueError(
                f"0 <= saving < 1 and 0 < fraction <= 1 must hold, but got {saving}, {fraction}."
            )
        if interval < 0 or interval != int(interval):
            raise ValueError(f"interval must be a whole number >= 0, but got {interval}.")
        self._saving, self._fraction, self._interval = saving, fraction, int(interval)

    def _target(self, stats: EpochStats) -> int:
        if self._saving == 0:
            return 0
        times = self.freeze_epochs(stats)
        return sum(epoch <= stats.epoch for epoch in times)

    def freeze_epochs(self, stats: EpochStats) -> list[int]:
        """After how many epochs each block freezes, from the front.

        Raises:
            ValueError: Even freezing from the first epoch on would not save enough.
        """
        deepest = math.ceil(self._fraction * stats.num_cuts - 1e-9)
        blocks = [b - a for a, b in pairwise((0.0, *stats.prefix_mac_share[:deepest]))]
        gain = 1.0 if stats.has_cache else 2 / 3
        interval = self._interval or max(1, stats.epochs // 40)

        def saved(start: int) -> float:
            """Operations saved, in epochs of the whole training."""
            times = (start + i * interval for i in range(len(blocks)))
            pairs = zip(blocks, times, strict=True)
            return gain * sum(share * max(stats.epochs - t, 0) for share, t in pairs)

        target = self._saving * stats.epochs
        if saved(0) < target:
            raise ValueError(
                f"The budget policy must be able to save {self._saving:.0%} of the operations, "
                f"but freezing {deepest} of {stats.num_cuts} cuts from the first epoch on saves "
                f"{saved(0) / stats.epochs:.1%}: lower saving, or raise fraction."
            )
        start = max(t for t in range(stats.epochs + 1) if saved(t) >= target)
        return [start + i * interval for i in range(deepest)]
