"""How a memory is built from block RAMs, chosen by cost as Yosys' ``memory_libmap`` does.

A block RAM can be read narrow and deep or wide and shallow. A memory that is deeper than the
shape takes its rows side by side, in as many bits as fit, and a multiplexer picks the row: wide
shapes waste no depth, but the multiplexer has an input per row and bit.
"""

from functools import cache
from typing import NamedTuple

from hwmodel.resources import Resources

# Width, address bits, cost in the unit of Yosys' library of block RAMs, and tiles of 36 Kbit.
# Widths of 9 and more use the parity bits.
_SHAPES = (
    *((wide, 14 - log, 129, 0.5) for log, wide in enumerate((1, 2, 4, 9, 18, 36))),
    *((wide, 15 - log, 257, 1.0) for log, wide in enumerate((1, 2, 4, 9, 18, 36, 72))),
)
# Cost of one bit of one more input of a multiplexer, or of one more written row.
_CHOICE_COST = 0.5
# Bits that one write enable covers.
_BYTE = 9

# LUTs per bit of a multiplexer by its inputs, as Yosys maps the row of a memory. Beyond the table
# it takes 10 for 19 inputs to 14 for 31.
_MUX_LUTS = (0, 0, 1, 1, 1, 2, 2, 3, 3, 5, 4, 4, 4, 5, 5, 6, 5)
_LARGE_MUX_LUTS = (2.0, 0.43)


class BlockRam(NamedTuple):
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
    built = []
    for wide, address_bits, cost, tiles in _SHAPES:
        rows = (depth - 1 >> address_bits) + 1
        byte = min(_BYTE, wide) if written else 1
        pieces = -(-rows * (-(-width // byte) * byte) // wide)
        choices = (rows - 1) * width + (rows if written and rows > 1 else 0)
        built.append((cost * pieces + _CHOICE_COST * choices, tiles * pieces, rows))
    return BlockRam(*min(built))


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
