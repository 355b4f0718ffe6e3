"""Walks that never add a perturbation to what they keep, so that nothing can drift.

Both write the weights from a base: ``weights <- base + perturbation``, rounded once. They are for
weights of half precision, where adding and taking away again loses steps, and for whoever wants
the weights back bit for bit.
"""

from collections.abc import Mapping
from typing import Any

from zo.sweep import Sweep, Terms
from zo.walk import Walk, copied

_DELTA = -2
"""Slot of the first group's delta; the next groups' lie below it."""


class Rewriting(Walk):
    """Writes the weights anew from what it keeps, each time they move, in one pass."""

    _away: bool
    """Whether the weights are something else than ``theta``."""

    @property
    def settled(self) -> bool:
        """Whether the weights are ``theta``."""
        return not self._away

    def visit(self, token: int, offset: float) -> None:
        """Move the weights to ``theta + offset * z`` of a perturbation."""
        self._write({token: offset})
        self._away = True

    def settle(self) -> None:
        """Move the weights to ``theta``."""
        if self._away:
            self._write({})
            self._away = False

    def _write(self, terms: Terms) -> None:
        """Write ``theta + terms`` to the weights."""
        raise NotImplementedError


class Master(Rewriting):
    """Keeps ``theta`` in a copy of at least float32; the weights are what the model computes with.

    The copy costs the weights' bytes (twice those of half precision) and a step a third pass.
    """

    def prepare(self) -> None:
        """Copy the weights and make the sweeps."""
        self._learn, self._show, self._wider = [], [], []
        for kind, part in self.kinds.items():
            filler, bases = self.fillers[kind[1:]], copied(part, kind.dtype)
            self._wider += [b.flat for b in bases if b.flat.dtype != b.tensor.dtype]
            self._learn.append((kind.group, Sweep(filler, bases)))
            self._show.append(Sweep(filler, part, bases))
        self._away = False

    def forget(self) -> None:
        """Declare the weights settled: they are the new ``theta``."""
        self.prepare()

    def state_dict(self) -> dict[str, Any]:
        """Return the slots, and the copies that hold more than their weights do."""
        return {**super().state_dict(), "wider": [copy.clone() for copy in self._wider]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the present weights for those of the state, with the digits they cannot hold."""
        super().load_state_dict(state)
        for copy, kept in zip(self._wider, state["wider"], strict=True):
            copy.copy_(kept)

    def learn(self, group: int, updates: Mapping[int, float], *, decay: float) -> None:
        """Move a group's ``theta`` to ``decay * theta + sum of updates``."""
        for owner, sweep in self._learn:
            if owner == group:
                sweep(updates, decay=decay)
        self.passes += group == 0
        self._away = True

    def _write(self, terms: Terms) -> None:
        for sweep in self._show:
            sweep(terms)
        self.passes += 1


class Delta(Rewriting):
    """Keeps the initial weights and what was learned apart: ``theta = decay * theta0 + delta``.

    Over a periodic source the delta is one table of ``period`` numbers: all that a checkpoint
    needs, and exact whatever the precision of the weights.
    """

    def prepare(self) -> None:
        """Copy the initial weights and make the sweeps."""
        self._sweeps = [
            (kind.group, Sweep(self.fillers[kind[1:]], part, copied(part, part[0].flat.dtype)))
            for kind, part in self.kinds.items()
        ]
        for group in self.groups:
            self.remember(_DELTA - group, 0.0, {})
        self._decay = [1.0 for _ in self.groups]
        self._away = False

    def forget(self) -> None:
        """Declare the weights settled: they are the new ``theta0``."""
        self.prepare()

    def state_dict(self) -> dict[str, Any]:
        """Return the slots, the delta among them, and the decay of ``theta0``."""
        return {**super().state_dict(), "decay": list(self._decay)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the present weights for ``theta0``, and the state's delta."""
        super().load_state_dict(state)
        self._decay = list(state["decay"])
        self._away = True

    def learn(self, group: int, updates: Mapping[int, float], *, decay: float) -> None:
        """Move a group's ``theta`` to ``decay * theta + sum of updates``; touches no weight."""
        self.remember(_DELTA - group, decay, updates)
        self._decay[group] *= decay
        self._away = True

    def _write(self, terms: Terms) -> None:
        for group, sweep in self._sweeps:
            sweep({_DELTA - group: 1.0, **terms}, decay=self._decay[group])
        self.passes += 1
