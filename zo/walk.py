"""Where the weights are, as against where they belong.

During a step the weights stand off from ``theta`` by a perturbation, and after it they still owe
what the step has learned. All that is owed is a list of coefficients, one per perturbation, so it
can be settled on the way to the next place: one pass restores, learns and perturbs anew.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from zo.per_tensor import TensorScales
from zo.sources.base import Source
from zo.sweep import Filler, Sweep, Terms
from zo.weights import Weight


class Kind(NamedTuple):
    """Weights that one sweep can serve: their group, the precision of the sums, the device."""

    group: int
    dtype: torch.dtype
    device: torch.device


class Walk(ABC):
    """The account of a set of weights.

    Args:
        source: A bound source.
        weights: The weights, in flat order.
        num_groups: How many parameter groups they belong to.
        scales: What each tensor's numbers are multiplied with; by default nothing.

    Attributes:
        passes: Passes over all weights so far.
        fillers: What makes the numbers, per precision and device.
    """

    def __init__(
        self,
        source: Source,
        weights: Sequence[Weight],
        *,
        num_groups: int,
        scales: TensorScales | None = None,
    ) -> None:
        self.passes = 0
        self.groups = range(num_groups)
        self.fillers: dict[tuple[torch.dtype, torch.device], Filler] = {}
        self.kinds: dict[Kind, list[Weight]] = {}
        for weight in weights if scales else source.places(weights):
            dtype = torch.promote_types(weight.flat.dtype, torch.float32)
            kind = Kind(weight.group, dtype, weight.flat.device)
            self.kinds.setdefault(kind, []).append(weight)
            if kind[1:] not in self.fillers:
                filler = source.filler(kind.dtype, kind.device)
                self.fillers[kind[1:]] = scales.filler(filler) if scales else filler
        self.prepare()

    def state_dict(self) -> dict[str, Any]:
        """Return what outlives a step beside the weights: the slots of every filler."""
        fillers = self.fillers.values()
        return {"slots": [{k: kept.clone() for k, kept in f.slots.items()} for f in fillers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the present weights for those of the state, and its slots."""
        self.forget()
        for filler, slots in zip(self.fillers.values(), state["slots"], strict=True):
            filler.slots = {
                slot: kept.to(filler.scratch, copy=True) for slot, kept in slots.items()
            }

    def remember(self, slot: int, keep: float, terms: Terms) -> None:
        """Do ``slot <- keep * slot + sum of terms``; see ``zo.sweep.Filler``."""
        for filler in self.fillers.values():
            filler.remember(slot, keep, terms)

    @abstractmethod
    def prepare(self) -> None:
        """Make the sweeps and whatever copies they need."""

    @abstractmethod
    def forget(self) -> None:
        """Declare the weights settled, whatever they are."""

    @property
    @abstractmethod
    def settled(self) -> bool:
        """Whether the weights are ``theta``."""

    @abstractmethod
    def visit(self, token: int, offset: float) -> None:
        """Move the weights to ``theta + offset * z`` of a perturbation."""

    @abstractmethod
    def settle(self) -> None:
        """Move the weights to ``theta``; costs nothing if they are there."""

    def rest(self) -> None:
        """Have a forward compute with ``theta``, be it settled or not."""
        self.settle()

    @abstractmethod
    def learn(self, group: int, updates: Mapping[int, float], *, decay: float) -> None:
        """Move a group's ``theta`` to ``decay * theta + sum of updates``, on account."""


class InPlace(Walk):
    """Moves the weights themselves: no copy, one pass per visit.

    ``theta = decay * weights + sum of what is owed``, to the rounding of the weights.
    """

    def prepare(self) -> None:
        """Make the sweeps."""
        self._sweeps = [
            (kind.group, Sweep(self.fillers[kind[1:]], part)) for kind, part in self.kinds.items()
        ]
        self.forget()

    def forget(self) -> None:
        """Declare the weights settled, whatever they are."""
        self._close()

    @property
    def settled(self) -> bool:
        """Whether the weights are ``theta``."""
        return not any(self._owed) and all(decay == 1.0 for decay in self._decay)

    def visit(self, token: int, offset: float) -> None:
        """Move the weights to ``theta + offset * z`` of a perturbation, in one pass."""
        for owed in self._owed:
            owed[token] = owed.get(token, 0.0) + offset
        self._move()
        for owed in self._owed:
            owed[token] = -offset

    def settle(self) -> None:
        """Move the weights to ``theta``; costs nothing if they are there."""
        if not self.settled:
            self._move()

    def learn(self, group: int, updates: Mapping[int, float], *, decay: float) -> None:
        """Move a group's ``theta`` to ``decay * theta + sum of updates``, on account."""
        owed = self._owed[group]
        for token in owed:
            owed[token] *= decay
        for token, coef in updates.items():
            owed[token] = owed.get(token, 0.0) + coef
        self._decay[group] *= decay

    def _move(self) -> None:
        for group, sweep in self._sweeps:
            sweep(self._owed[group], decay=self._decay[group])
        self.passes += bool(self._sweeps)
        self._close()

    def _close(self) -> None:
        """Begin a new account: nothing is owed."""
        self._owed: list[dict[int, float]] = [{} for _ in self.groups]
        self._decay = [1.0 for _ in self.groups]


def copied(weights: Sequence[Weight], dtype: torch.dtype) -> list[Weight]:
    """Return the weights with their values copied in another precision."""
    return [replace(weight, flat=weight.flat.to(dtype, copy=True)) for weight in weights]
