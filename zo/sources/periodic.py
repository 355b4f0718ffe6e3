"""Sources whose numbers are one periodic stream, read on and on.

A perturbation is a window of the stream, so all there is to know about it is its *phase*, where
the window begins. The sum of two windows is again periodic, which is why restoring, updating and
perturbing anew are one pass over the weights.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwmodel.checks import require
from hwmodel.designs.base import Words
from zo.sources.base import Source
from zo.sweep import Filler, Terms, add_cyclic

TILE = 1 << 18
"""Numbers up to which a short period is repeated in its block, so that a pass has few pieces."""

WHOLE = 1 << 18
"""Longest period that is summed as a whole: 1 MiB of float32, a second-level cache."""

WINDOW = 1 << 15
"""Numbers in the block of a longer period."""

_LONGEST = 1 << 26
_CHUNK = 1 << 10


class Periodic(Source):
    """Base of pool and bank: a period's table and the phase of each perturbation.

    A subclass says which stream it reads (``design``) and how far one perturbation moves on
    (``advance``).

    Attributes:
        repair: Whether a move that would meet few places is lengthened until it meets all.
        control: Whether a single direction is what the user asked for.
    """

    repair: bool
    control = False

    @abstractmethod
    def advance(self, num_weights: int) -> int:
        """Return by how many numbers the phase moves from one perturbation to the next."""

    def bind(
        self, num_weights: int, *, queries: int = 1, sizes: Sequence[int] | None = None
    ) -> Self:
        """Return this source for a given model; see ``Source.bind``.

        Raises:
            ValueError: If every perturbation would be the same one.
        """
        bound = super().bind(num_weights, queries=queries, sizes=sizes)
        bound._advance = self.advance(num_weights)
        require(
            self.distinct_directions(num_weights) > 1 or self.control,
            law="a source has more than one distinct direction",
            got=f"{self.spec} on {num_weights} weights, which meets a single one",
            fix="use repair=True, or a prime size that does not divide the weight count",
        )
        return bound

    @property
    def period(self) -> int:
        """Numbers after which the stream repeats."""
        return int(self.design().period)

    @property
    def lsb(self) -> float:
        """Value of one code step."""
        return float(self.design().lsb)

    @property
    def variance(self) -> float:
        """Mean square of one value over the period."""
        return self._squares.total / self.period * self.lsb**2

    def reuse_factor(self, num_weights: int) -> float:
        """Return the weights served per number of the period, at least 1."""
        return max(1.0, num_weights / self.period)

    def phase(self, token: int) -> int:
        """Return the place in the period where a perturbation begins."""
        return token * self._advance % self._period

    def codes(self, token: int, start: int, length: int) -> NDArray[np.int32]:
        """Return integer codes, int32; see ``Source.codes``."""
        place = (self.phase(token) + start) % self._period
        codes: NDArray[np.int32] = self.design().codes(place, length)
        return codes

    def sumsq(self, token: int) -> float:
        """Return the sum of squared values of a perturbation, exact, in constant time."""
        return self.window_sumsq(token, 0, self.dim)

    def window_sumsq(self, token: int, start: int, length: int) -> float:
        """Return the sum of squares of ``length`` numbers from place ``start`` on, exact."""
        rounds, rest = divmod(length, self._period)
        first = (self.phase(token) + start) % self._period
        total = rounds * self._squares.total + self._squares.window(first, rest)
        return total * self.lsb**2

    def window_norm(self, token: int, start: int, length: int) -> float:
        """Return the norm of ``length`` numbers from place ``start`` on, exact."""
        return math.sqrt(self.window_sumsq(token, start, length))

    def norm(self, token: int) -> float:
        """Return the norm of a perturbation, exact."""
        return math.sqrt(self.sumsq(token))

    def filler(self, dtype: torch.dtype, device: torch.device) -> "PeriodicFiller":
        """Return the filler for tensors of this kind."""
        return PeriodicFiller(self, dtype, device)

    @cached_property
    def table(self) -> Words:
        """One period, as the narrowest integers that hold it; shared, so read only."""
        require(
            self.period <= _LONGEST,
            law=f"period <= {_LONGEST} numbers",
            got=f"{self.spec} with a period of {self.period}",
            fix="take fewer bits or fewer RNGs: the period's table is held in memory",
        )
        return self.design().period_codes()

    @cached_property
    def _period(self) -> int:
        return self.period

    @cached_property
    def _advance(self) -> int:
        return self.advance(self.dim)

    @cached_property
    def _squares(self) -> "_Squares":
        return _Squares(self.table)


class _Squares:
    """Sums of squares over windows of a cyclic table, from sums over whole chunks."""

    def __init__(self, table: NDArray[Any]) -> None:
        self._table = table
        chunks = [table[i : i + _CHUNK] for i in range(0, table.size, _CHUNK)]
        self._before = [0]
        for chunk in chunks:
            self._before.append(self._before[-1] + _sumsq(chunk))
        self.total = self._before[-1]

    def window(self, start: int, length: int) -> int:
        """Return the sum over ``length <= table.size`` entries from ``start`` on, cyclic."""
        end = start + length
        if end <= self._table.size:
            return self._prefix(end) - self._prefix(start)
        return self.total - self._prefix(start) + self._prefix(end - self._table.size)

    def _prefix(self, end: int) -> int:
        whole = end // _CHUNK
        return self._before[whole] + _sumsq(self._table[whole * _CHUNK : end])


def _sumsq(codes: NDArray[Any]) -> int:
    wide = codes.astype(np.int64)
    return int(wide @ wide)


class PeriodicFiller(Filler):
    """Fills blocks from a period's table."""

    anywhere = True

    def __init__(self, source: Periodic, dtype: torch.dtype, device: torch.device) -> None:
        self._phase, self._lsb, self._period = source.phase, source.lsb, source.period
        self.repeats = self._period <= WHOLE
        copies = min(max(1, TILE // self._period), -(-source.dim // self._period))
        self.block = copies * self._period if self.repeats else WINDOW
        super().__init__(dtype, device, room=min(self._period, source.dim))
        self._table = torch.from_numpy(source.table).to(device)
        self._first = self.scratch[: self._period]
        others = self.scratch[self._period :] if self.repeats else self.scratch[:0]
        self._others = others.view(-1, self._period)

    def fill(self, terms: Terms, start: int, length: int) -> None:
        """Write the sum of the terms to the scratch: one period, and then copies of it."""
        super().fill(terms, start, min(length, self._period))
        if self._others.numel():
            self._others.copy_(self._first)

    def add(self, out: Tensor, token: int, start: int, coef: float) -> None:
        """Add a window of the stream."""
        place = self._phase(token) + start
        add_cyclic(out, self._table, place, coef * self._lsb)
