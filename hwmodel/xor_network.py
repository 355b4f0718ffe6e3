"""The XOR gates of a leap: every row of a map over GF(2), heavy rows built on light ones."""

from dataclasses import dataclass
from functools import lru_cache

from hwmodel.luts import LUT_INPUTS, xor_luts

Rows = tuple[int, ...]


@dataclass(frozen=True)
class Xor:
    """One row as built: the XOR of input bits, as a mask, and perhaps of a row built before."""

    row: int
    mask: int
    base: int | None = None

    @property
    def inputs(self) -> list[int]:
        """Return the input bits, in ascending order."""
        return bits_of(self.mask)

    @property
    def weight(self) -> int:
        """Return how many signals are added up."""
        return self.mask.bit_count() + (self.base is not None)


def bits_of(mask: int) -> list[int]:
    """Return the bits that are set, in ascending order."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


@lru_cache(maxsize=4096)
def xor_network(rows: Rows) -> tuple[Xor, ...]:
    """Return all rows, lightest first, a heavy one built on the light one that saves it most.

    Only rows that fit one LUT are built upon, so that no row is deeper than it is on its own.
    """
    order = sorted(range(len(rows)), key=lambda bit: rows[bit].bit_count())
    light = [bit for bit in order if rows[bit].bit_count() <= LUT_INPUTS]
    return tuple(_built(rows, bit, light) for bit in order)


def _built(rows: Rows, bit: int, light: list[int]) -> Xor:
    """Return one row, on the light row that saves it most if it is heavy."""
    mask = rows[bit]
    least, base = mask.bit_count(), None
    if least > LUT_INPUTS:
        for earlier in light:
            weight = (mask ^ rows[earlier]).bit_count() + 1
            if weight < least:
                least, base = weight, earlier
    return Xor(bit, mask if base is None else mask ^ rows[base], base)


@lru_cache(maxsize=4096)
def shared_rows(rows: Rows) -> tuple[int, ...]:
    """Return the rows that others are built on, in ascending order."""
    return tuple(sorted({xor.base for xor in xor_network(rows) if xor.base is not None}))


@lru_cache(maxsize=4096)
def xor_network_luts(rows: Rows) -> int:
    """Return the six-input LUTs of the network, without making it."""
    # A row that only moves a bit takes no LUT, and nothing gains from being built on it.
    built = [row for row in rows if row & (row - 1)]
    light = [row for row in built if row.bit_count() <= LUT_INPUTS]
    luts = len(light)
    for row in built:
        if (weight := row.bit_count()) > LUT_INPUTS:
            on_light = [(row ^ earlier).bit_count() + 1 for earlier in light]
            luts += xor_luts(min([weight, *on_light]))
    return luts
