"""How a memory is built from block RAMs, chosen by cost as Yosys' ``memory_libmap`` does.

A block RAM can be read narrow and deep or wide and shallow. A memory that is deeper than the
shape takes its rows side by side, in as many bits as fit, and a multiplexer picks the row: wide
shapes waste no depth, but the multiplexer has an input per row and bit.
"""

from dataclasses import dataclass
from functools import cache

from hwmodel.resources import Resources

# Address bits, widths from the narrowest (each twice as deep as the next), cost in the unit of
# Yosys' library of block RAMs, and tiles of 36 Kbit. Widths of 9 and more use the parity bits.
_KINDS = (
    (14, (1, 2, 4, 9, 18, 36), 129, 0.5),
    (15, (1, 2, 4, 9, 18, 36, 72), 257, 1.0),
)
# Cost of one bit of one more input of a multiplexer, or of one more written row.
_CHOICE_COST = 0.5
# Bits that one write enable covers.
_BYTE = 9

# LUTs per bit of a multiplexer by its inputs, as Yosys maps the row of a memory. Beyond the table
# it takes 10 for 19 inputs to 14 for 31.
_MUX_LUTS = (0, 0, 1, 1, 1, 2, 2, 3, 3, 5, 4, 4, 4, 5, 5, 6, 5)
_LARGE_MUX_LUTS = (2.0, 0.43)


@dataclass(frozen=True, order=True)
class BlockRam:
    """How a memory is built from block RAMs.

    Attributes:
        cost: In the unit of Yosys' library.
        tiles: Tiles of 36 Kbit.
        rows: Rows side by side; more than one need a multiplexer.
    """

    cost: float
    tiles: float
    rows: int


@cache
def block_ram(depth: int, *, width: int, written: bool = False) -> BlockRam:
    """Return the cheapest block RAM of ``depth`` words.

    Args:
        depth: Words.
        width: Bits per word, all read in one clock.
        written: Whether the memory has a write port, and so whole bytes only.
    """
    return min(
        _built(depth, width, written=written, deep=1 << bits - log, wide=wide, price=(cost, tiles))
        for bits, widths, cost, tiles in _KINDS
        for log, wide in enumerate(widths)
    )


def _built(
    depth: int, width: int, *, written: bool, deep: int, wide: int, price: tuple[int, float]
) -> BlockRam:
    """Return the memory built from block RAMs of one shape."""
    rows = -(-depth // deep)
    byte = min(_BYTE, wide) if written else 1
    pieces = -(-rows * (-(-width // byte) * byte) // wide)
    choices = (rows - 1) * width + (rows if written and rows > 1 else 0)
    cost, tiles = price
    return BlockRam(cost * pieces + _CHOICE_COST * choices, tiles * pieces, rows)


def memory_resources(depth: int, *, width: int, written: bool = False) -> Resources:
    """Return what a memory takes: block RAM, the multiplexer of its rows and its registered turn.

    Args:
        depth: Words.
        width: Bits per word, all read in one clock.
        written: Whether the memory has a write port.
    """
    memory = block_ram(depth, width=width, written=written)
    return Resources(
        lut=width * mux_luts(memory.rows),
        ff=(memory.rows - 1).bit_length(),
        bram=memory.tiles,
    )


def mux_luts(inputs: int) -> int:
    """Return the LUTs of one bit of a multiplexer of so many inputs."""
    if inputs < len(_MUX_LUTS):
        return _MUX_LUTS[inputs]
    fixed, each = _LARGE_MUX_LUTS
    return round(fixed + each * inputs)
