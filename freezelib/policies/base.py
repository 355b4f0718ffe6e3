"""What a freezing policy is asked, and what it may answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

Observed = tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class EpochStats:
    """What is known between two epochs.

    Block ``i`` lies between cut ``i`` and cut ``i + 1``; block 0 lies before the first cut, and
    the last block, behind the last cut, is never frozen. Freezing at cut ``k`` freezes the first
    ``k`` blocks.

    Attributes:
        epoch: Finished epochs.
        epochs: Epochs of the whole training.
        k: The freeze point now; 0 if nothing is frozen.
        prefix_mac_share: Multiply-accumulates before each cut, as a share of the whole forward.
        has_cache: Whether frozen layers are read from a cache, or run at each step.
        gradient_norm: Per block, the sum over the last epoch's steps of the gradient's L1 norm.
        weight_delta: Per block, how far the last epoch moved the weights, over their norm.
        plasticity: Per block, how far its output on probe images has moved.
            All three are None before there is something to compare, and 0 where nothing moves.
    """

    epoch: int
    epochs: int
    k: int
    prefix_mac_share: tuple[float, ...]
    has_cache: bool = True
    gradient_norm: Observed = None
    weight_delta: Observed = None
    plasticity: Observed = None

    @property
    def num_cuts(self) -> int:
        """How many freeze points the model has."""
        return len(self.prefix_mac_share)


class Policy(ABC):
    """Proposes a freeze point between epochs: a deterministic function of what it was told.

    Attributes:
        needs: Fields of :class:`EpochStats` that have to be measured for it.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def propose(self, stats: EpochStats) -> int:
        """Where to freeze: not before ``stats.k``, and at most at the last cut."""
        return max(stats.k, min(self._target(stats), stats.num_cuts))

    @abstractmethod
    def _target(self, stats: EpochStats) -> int:
        """Where the rule would freeze."""

    def state_dict(self) -> dict[str, Any]:
        """What the next proposal depends on beside its arguments."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        assert not state


class ObservingPolicy(Policy):
    """A policy that freezes leading blocks by what was observed of them, epoch after epoch.

    The state is the whole history of observations, a number per block and epoch. Nothing is
    decided in advance: when the guards hold a proposal back, the blocks must still look converged
    at the time of the next one.
    """

    measured: ClassVar[str]

    def __init__(self) -> None:
        self._seen: list[tuple[float, ...]] = []

    def _target(self, stats: EpochStats) -> int:
        observed: Observed = getattr(stats, self.measured)
        if observed is None:
            return stats.k
        self._seen.append(observed)
        return self._converged(self._seen, stats)

    @abstractmethod
    def _converged(self, seen: list[tuple[float, ...]], stats: EpochStats) -> int:
        """How many leading blocks need no more training, given one observation per epoch."""

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Policy`."""
        return {"seen": list(self._seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Policy`."""
        self._seen = [tuple(row) for row in state["seen"]]
