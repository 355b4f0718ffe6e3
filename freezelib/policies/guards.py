"""What holds a policy back: freezing too early, too deep, too late, or where it does not pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

from freezelib.policies.base import EpochStats


@dataclass(frozen=True)
class Decision:
    """A freeze point and why.

    Attributes:
        k: The freeze point of the next epoch.
        reason: In words; empty if nothing was proposed and nothing changes.
    """

    k: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Guards:
    """Rules over every policy. Freezing only deepens, until ``unfreeze_last`` ends it.

    Attributes:
        warmup: Share of the training in which nothing is frozen.
        max_fraction: Deepest freeze, as a share of the cuts (rounded up).
        allowed: Freeze points that may be taken; all of them if empty.
        interval: Freezing may happen after every so many epochs, once each.
        min_gain: Epochs at the end in which no freeze begins.
        break_even: What the remaining epochs save must exceed the build by this factor; 0 to
            freeze whatever it costs.
        unfreeze_last: Epochs at the end that train everything again.
    """

    warmup: float = 0.1
    max_fraction: float = 2 / 3
    allowed: tuple[int, ...] = ()
    interval: int = 1
    min_gain: int = 1
    break_even: float = 1.2
    unfreeze_last: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.warmup <= 1 and 0 <= self.max_fraction <= 1):
            raise ValueError(
                "0 <= warmup <= 1 and 0 <= max_fraction <= 1 must hold (shares of the training "
                f"and of the cuts), but got {self.warmup} and {self.max_fraction}."
            )
        if min(self.min_gain, self.break_even, self.unfreeze_last, self.interval - 1) < 0:
            raise ValueError(
                "min_gain, break_even, unfreeze_last >= 0 and interval >= 1 must hold, but got "
                f"{self.min_gain}, {self.break_even}, {self.unfreeze_last}, {self.interval}."
            )
        if any(k < 1 for k in self.allowed):
            raise ValueError(f"allowed cuts count from 1, but got {self.allowed}.")

    def permitted(self, target: int, stats: EpochStats) -> int:
        """The deepest freeze point up to a target that may be taken at all, or ``stats.k``.

        Ask this before the costs of a freeze are estimated, so that they are those of its cut.
        """
        deepest = math.ceil(self.max_fraction * stats.num_cuts - 1e-9)
        allowed = self.allowed or range(1, stats.num_cuts + 1)
        return max([stats.k, *(k for k in allowed if k <= min(target, deepest))])

    def apply(self, target: int, stats: EpochStats, *, build_s: float, saved_s: float) -> Decision:
        """Decide on a proposal, between two epochs.

        Args:
            target: The policy's proposal.
            stats: What it was proposed on.
            build_s: What the freeze would cost once.
            saved_s: What it would save in each epoch after it, in the same unit.
        """
        left = stats.epochs - stats.epoch
        if self.unfreeze_last and left <= self.unfreeze_last:
            return Decision(0, f"the last {self.unfreeze_last} epochs train everything")
        k = self.permitted(target, stats)
        if k == stats.k:
            held = f"cut {target} proposed, but it may not be taken" if target > k else ""
            return Decision(k, held)
        if held := self._held(stats, left - self.unfreeze_last, build_s, saved_s):
            return Decision(stats.k, f"cut {k} proposed, but {held}")
        limits = "" if k == target else f" (cut {target} proposed)"
        return Decision(k, f"frozen at cut {k}{limits} with {left} epochs to go")

    def _held(self, stats: EpochStats, left: int, build_s: float, saved_s: float) -> str:
        """Why a freeze may not happen now; empty if it may."""
        if stats.epoch < (warm := math.ceil(self.warmup * stats.epochs - 1e-9)):
            return f"the first {warm} epochs are warm-up"
        if stats.epoch % self.interval:
            return f"freezing happens after every {self.interval} epochs"
        if left <= self.min_gain:
            return f"only {left} epochs would gain by it"
        if left * saved_s <= self.break_even * build_s:
            return (
                f"{left} epochs that save {saved_s:.3g} each do not pay for a build of "
                f"{build_s:.3g} with margin {self.break_even:g}"
            )
        return ""
