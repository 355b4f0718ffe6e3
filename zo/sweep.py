"""The weight sweep: one pass that reads and writes every weight once.

``theta <- decay * theta + sum_j coef_j * z_j`` for any number of perturbations at once. A sum of
perturbations is formed in a scratch block that stays in the processor's cache, and the block is
added to the weights it belongs to. A source whose numbers repeat along the flat index, such as a
small pool, fills its block once per sweep; every other source once per block.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zo.weights import Block, Weight, cut_blocks

STRETCH = 1 << 15
"""Entries of a table that are added at a time: 128 KiB as float32."""

Terms = Mapping[int, float]
"""What to add: token of a perturbation, or a slot below 0 -> coefficient of its values."""


class Filler(ABC):
    """What a source does for a sweep: fill one block with a sum of perturbations.

    A filler also keeps *slots*, sums of perturbations that outlive a step (a momentum, a trained
    difference). They have negative tokens and can be added like perturbations. A slot of a
    periodic source has one entry per number of its period, any other one per weight.

    Attributes:
        block: Numbers per block of the flat index.
        repeats: Whether all blocks hold the same numbers.
        anywhere: Whether ``add`` takes any ``start``, not only a block's beginning.
        room: Entries of a slot.
        scratch: Where ``fill`` writes, shape ``(block,)``.
        slots: The slots that are in use, each of shape ``(room,)``.
    """

    block: int
    repeats: bool = False
    anywhere: bool = False

    def __init__(self, dtype: torch.dtype, device: torch.device, *, room: int) -> None:
        self.room = room
        self.scratch = torch.empty(self.block, dtype=dtype, device=device)
        self.slots: dict[int, Tensor] = {}

    @abstractmethod
    def add(self, out: Tensor, token: int, start: int, coef: float) -> None:
        """Add ``coef * z[start : start + len(out)]``; see ``anywhere``."""

    def fill(self, terms: Terms, start: int, length: int) -> None:
        """Write ``sum_j coef_j * z_j[start : start + length]`` to the scratch's beginning."""
        out = self.scratch[:length]
        out.zero_()
        self._add_all(out, terms, start)

    def remember(self, slot: int, keep: float, terms: Terms) -> None:
        """Do ``slot <- keep * slot + sum of terms``; a new slot begins at zero."""
        kept = self.slots.setdefault(slot, self.scratch.new_zeros(self.room))
        kept.mul_(keep)
        for start in range(0, self.room, self.block):
            self._add_all(kept[start : start + self.block], terms, start)

    def _add_all(self, out: Tensor, terms: Terms, start: int) -> None:
        for token, coef in terms.items():
            if token < 0:
                add_cyclic(out, self.slots[token], start, coef)
            else:
                self.add(out, token, start, coef)


def add_cyclic(out: Tensor, table: Tensor, place: int, coef: float) -> None:
    """Add ``coef * table[(place + i) % period]`` to every ``out[i]``.

    It goes in stretches, since torch makes a copy of an integer operand in the result's precision.

    Args:
        out: Where to add.
        table: One period, shape ``(period,)``.
        place: Where to begin; taken modulo the period.
        coef: Factor of the table's entries.
    """
    done, place = 0, place % table.numel()
    while done < out.numel():
        piece = table[place : place + min(STRETCH, out.numel() - done)]
        out[done : done + piece.numel()].add_(piece, alpha=coef)
        done, place = done + piece.numel(), (place + piece.numel()) % table.numel()


class Sweep:
    """A compiled pass over some weights: every piece and its slice of the scratch are known.

    Args:
        filler: Makes the numbers.
        weights: What is written.
        bases: What is read, where that is another copy of the weights: ``weights <- decay *
            bases + sum of terms``.
    """

    def __init__(
        self,
        filler: Filler,
        weights: Sequence[Weight],
        bases: Sequence[Weight] | None = None,
    ) -> None:
        self._filler = filler
        self._in_place = bases is None
        written = blocks_of(weights, filler)
        read = written if bases is None else blocks_of(bases, filler)
        self._passes = [
            (block, source.views, [filler.scratch[low:high] for low, high in block.spans])
            for block, source in zip(written, read, strict=True)
        ]

    def __call__(self, terms: Terms, *, decay: float = 1.0) -> None:
        """Do ``theta <- decay * theta + sum of terms``."""
        for block, bases, slices in self._passes:
            self._filler.fill(terms, block.start, block.length)
            if self._in_place and decay == 1.0:
                torch._foreach_add_(block.views, slices)
            else:
                for view, base, piece in zip(block.views, bases, slices, strict=True):
                    torch.add(piece, base, alpha=decay, out=view)


def blocks_of(weights: Sequence[Weight], filler: Filler) -> list[Block]:
    """Return the weights cut into the blocks that a filler fills; a single one if all repeat."""
    blocks = cut_blocks(weights, filler.block)
    return [_merge(blocks)] if filler.repeats else blocks


def _merge(blocks: Sequence[Block]) -> Block:
    views = [view for block in blocks for view in block.views]
    spans = [span for block in blocks for span in block.spans]
    return Block(0, max(block.length for block in blocks), views, spans)
