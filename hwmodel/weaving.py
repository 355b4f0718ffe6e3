"""The stream of a bank from one orbit: every LFSR walks a stretch of it, clock by clock in turns.

The work is done in blocks that fit the second-level cache. The stretches of all LFSRs are copied
from the orbit, one row each, and a fixed pattern of places reads the rows in the order in which
their numbers leave. Nothing depends on how long the bank's period is.
"""

from functools import lru_cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

# Numbers per block, and per pattern: the rows and the pattern share the second-level cache.
_BLOCK = 1 << 18
_PATTERN = 1 << 14

# Clocks per block at most, by which an orbit is prolonged so that no stretch wraps.
MAX_CLOCKS = 1 << 14


def prolonged(orbit: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return an orbit followed by its beginning, so that a stretch can begin anywhere."""
    return np.resize(orbit, orbit.size + MAX_CLOCKS + 1)


def weave(
    orbit: NDArray[np.int32],
    phases: NDArray[np.int64],
    *,
    first: int,
    clocks: int,
    rotated: bool,
) -> NDArray[np.int32]:
    """Return the numbers of whole clocks.

    Args:
        orbit: Codes in the order of the orbit, from ``prolonged``.
        phases: Where each LFSR starts in the orbit, shape ``(n,)``.
        first: First clock since reset.
        clocks: How many clocks.
        rotated: Whether position ``j`` shows LFSR ``(j + c) % n`` in clock ``c``, else LFSR ``j``.

    Returns:
        Shape ``(clocks * n,)``, int32.
    """
    lanes = phases.size
    shape = _Shape(lanes, rotated=rotated)
    stretches = np.lib.stride_tricks.sliding_window_view(orbit, shape.row_clocks)
    codes = np.empty(clocks * lanes, dtype=np.int32)
    for begun in range(0, clocks, shape.clocks):
        clock = first + begun
        turned = (np.arange(shape.rows) + clock * rotated) % lanes
        starts = (phases[turned] + clock) % (orbit.size - MAX_CLOCKS - 1)
        rows = stretches[starts].reshape(-1)
        shape.read(rows, codes[begun * lanes : (begun + shape.clocks) * lanes])
    return codes


class _Shape:
    """Of how many clocks and rows a block is, and how its rows are read.

    A pattern of whole turns of a bank reads any part of the rows. One that is shorter walks to the
    next row with every clock, and so begins where the last one ended; then LFSRs come twice.

    Attributes:
        clocks: Clocks per block.
        row_clocks: Clocks per row.
        rows: Rows per block.
    """

    def __init__(self, lanes: int, *, rotated: bool) -> None:
        turn = lanes if rotated else 1
        per_pattern = -(-max(1, _PATTERN // lanes) // turn) * turn
        whole_turns = per_pattern * lanes <= 2 * _PATTERN or not rotated
        clocks = min(_BLOCK // lanes, MAX_CLOCKS)
        if not whole_turns:
            per_pattern = max(1, _PATTERN // lanes)
            clocks = (isqrt(lanes * lanes + 4 * _BLOCK) - lanes) // 2
        self.clocks = per_pattern * max(1, clocks // per_pattern)
        self.rows = lanes if whole_turns else lanes + self.clocks - 1
        # Rows of odd length begin in different sets of the cache.
        self.row_clocks = self.clocks | 1
        self._step = per_pattern * (1 if whole_turns else self.row_clocks + 1)
        self._pattern = _pattern(lanes, per_pattern, self.row_clocks, rotated, whole_turns)

    def read(self, rows: NDArray[np.int32], codes: NDArray[np.int32]) -> None:
        """Fill ``codes`` from a block's rows."""
        numbers = self._pattern.size
        for place, begun in enumerate(range(0, codes.size, numbers)):
            part = codes[begun : begun + numbers]
            # Places are right by construction; "clip" spares a copy that "raise" makes.
            read = rows[place * self._step :]
            np.take(read, self._pattern[: part.size], out=part, mode="clip")


@lru_cache(maxsize=16)
def _pattern(
    lanes: int, clocks: int, row_clocks: int, rotated: bool, whole_turns: bool
) -> NDArray[np.intp]:
    """Return the places in rows of ``row_clocks`` numbers, in the order in which they leave."""
    clock = np.arange(clocks)[:, None]
    row = np.arange(lanes) + clock * rotated
    if whole_turns:
        row %= lanes
    return (row * row_clocks + clock).reshape(-1)
