"""Embeddings that are perturbed where their rows are looked up.

A batch reads a few hundred rows of an embedding, but a pass streams all of it. Under a periodic
source whatever the weights stand off by is one period of numbers, and what a row stands off by is
a window of it. So it can be added to the rows that are looked up, and the embedding's table is
not touched until the weights are settled.
"""

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zo.settling import Settles
from zo.sources.base import Source
from zo.sweep import Filler, Sweep, Terms
from zo.walk import InPlace
from zo.weights import Weight

_STANDOFF = -2
"""Slot of the first group's standoff; the next groups' lie below it."""


class Standoff:
    """What the weights of one kind stand off by: ``decay * table + numbers[i mod room]``.

    The numbers are a slot of the filler for as long as there are any. Behind them lies a cyclic
    continuation, so that every window of them is contiguous.

    Args:
        filler: Makes the numbers.
        group: The weights' parameter group.
        weights: The weights, which are embeddings' tables.

    Attributes:
        decay: Factor of the tables.
        empty: Whether the tables are what they stand for.
        group: As given.
        room: Numbers after which they repeat.
    """

    def __init__(self, filler: Filler, group: int, weights: Sequence[Weight]) -> None:
        self._filler, self._slot, self.group = filler, _STANDOFF - group, group
        self._sweep = Sweep(filler, weights)
        self.room = filler.room
        widest = max(weight.tensor.shape[1] for weight in weights)
        self._numbers = filler.scratch.new_zeros(self.room + widest - 1)
        self.clear()

    def clear(self) -> None:
        """Declare the tables to be what they stand for."""
        self._filler.slots.pop(self._slot, None)
        self.decay, self.empty = 1.0, True

    def fold(self, terms: Terms, *, decay: float) -> None:
        """Move to ``decay * present + sum of terms``; touches no table."""
        if self.empty:
            self._filler.slots[self._slot] = self._numbers[: self.room].zero_()
        self._filler.remember(self._slot, decay, terms)
        for start in range(self.room, self._numbers.numel(), self.room):
            piece = self._numbers[start : start + self.room]
            piece.copy_(self._numbers[: piece.numel()])
        self.decay, self.empty = self.decay * decay, False

    def settle(self) -> None:
        """Write to the tables what they stand for, in one pass; costs nothing if they are it."""
        if not self.empty:
            self._sweep({self._slot: 1.0}, decay=self.decay)
            self.clear()

    def windows(self, width: int) -> Tensor:
        """Return a view of all windows of a width, shape ``(room, width)``."""
        return self._numbers.as_strided((self.room, width), (1, 1))


class AddStandoff:
    """A forward hook on an embedding: adds to the rows what they stand off by.

    A copy of the module, pickled or deep, has an idle one: what the optimizer owes stays with the
    original.
    """

    def __init__(
        self, standoff: Standoff | None = None, *, offset: int = 0, width: int = 1
    ) -> None:
        self._standoff, self._offset, self._width = standoff, offset, width
        self._windows = standoff.windows(width) if standoff is not None else None

    def __call__(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor
    ) -> Tensor | None:
        """Return the rows that the ids stand for; ``None`` leaves the output as it is."""
        standoff = self._standoff
        if standoff is None or self._windows is None or standoff.empty:
            return None
        ids: Tensor = args[0] if args else kwargs["input"]
        places = ids.long().flatten().mul(self._width).add_(self._offset).remainder_(standoff.room)
        rows = self._windows.index_select(0, places).view(output.shape)
        return rows.add_(output, alpha=standoff.decay)

    def __reduce__(self) -> tuple[type["AddStandoff"], tuple[()]]:
        return AddStandoff, ()


class LookedUp(InPlace):
    """Moves weights in place, except tables of embeddings: for those it keeps a standoff.

    Same account, same numbers; equal to ``InPlace`` to rounding. A pass is one over the weights
    that are not looked up, and settling takes one over the tables besides.

    Args:
        source: A bound periodic source.
        weights: The weights, in flat order.
        num_groups: How many parameter groups they belong to.
        embeddings: The embeddings; all their tables are among the weights.
    """

    def __init__(
        self,
        source: Source,
        weights: Sequence[Weight],
        *,
        num_groups: int,
        embeddings: Sequence[nn.Embedding],
    ) -> None:
        self._embeddings = embeddings
        super().__init__(source, weights, num_groups=num_groups)

    def prepare(self) -> None:
        """Set the tables apart, and make the sweeps for all other weights."""
        listed = {id(embedding.weight) for embedding in self._embeddings}
        self._places: dict[int, tuple[Standoff, int]] = {}
        for kind, part in self.kinds.items():
            tables = [weight for weight in part if id(weight.tensor) in listed]
            self.kinds[kind] = [weight for weight in part if id(weight.tensor) not in listed]
            if tables:
                standoff = Standoff(self.fillers[kind[1:]], kind.group, tables)
                self._places |= {id(t.tensor): (standoff, t.offset) for t in tables}
        self.kinds = {kind: part for kind, part in self.kinds.items() if part}
        self._standoffs = list({id(s): s for s, _ in self._places.values()}.values())
        super().prepare()

    def attach(self) -> list[RemovableHandle]:
        """Have every embedding add the standoff to what it looks up, before any other hook."""
        handles = []
        for embedding in self._embeddings:
            standoff, offset = self._places[id(embedding.weight)]
            hook = AddStandoff(standoff, offset=offset, width=embedding.embedding_dim)
            handles.append(embedding.register_forward_hook(hook, prepend=True, with_kwargs=True))
        return handles

    def forget(self) -> None:
        """Declare the weights settled, whatever they are."""
        super().forget()
        for standoff in self._standoffs:
            standoff.clear()

    @property
    def settled(self) -> bool:
        """Whether the weights are ``theta``, tables included."""
        return super().settled and all(standoff.empty for standoff in self._standoffs)

    def rest(self) -> None:
        """Have lookups and all other weights give ``theta``; touches no table."""
        if not super().settled:
            self._move()

    def settle(self) -> None:
        """Move the weights to ``theta``, tables included; costs nothing if they are there."""
        self.rest()
        for standoff in self._standoffs:
            standoff.settle()

    def _move(self) -> None:
        for standoff in self._standoffs:
            standoff.fold(self._owed[standoff.group], decay=self._decay[standoff.group])
        super()._move()


def add_on_lookup(optimizer: Settles, walk: LookedUp) -> None:
    """Have a walk's embeddings add their standoff for as long as the optimizer lives.

    When it goes, the weights are settled and the embeddings are as they were.
    """
    weakref.finalize(optimizer, _release, walk, walk.attach()).atexit = False


def _release(walk: LookedUp, handles: Sequence[RemovableHandle]) -> None:
    walk.settle()
    for handle in handles:
        handle.remove()
