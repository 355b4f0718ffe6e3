"""How many six-input LUTs a look-up table in logic takes, output bit by output bit.

The rules were read off netlists of Yosys. Up to seven inputs they give its count within one or
two; of wider columns the mapper takes 5 % less to 40 % more, which is what the fitted
coefficients are for.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwmodel.luts import LUT_INPUTS

Column = NDArray[np.uint8]

# Inputs of tables whose columns give up a synchronous reset. With three or four it would leave a
# LUT where one was, with two it leaves a wire. Deeper tables are block RAM.
_RESET_INPUTS = (2, 5, 6, 7, 8, 9)


@dataclass(frozen=True)
class TableLuts:
    """What a table takes.

    Attributes:
        narrow: LUTs of output bits of at most seven inputs, and of resets.
        wide: LUTs of output bits of more inputs, before the fitted coefficient.
        registers: Output bits that are neither constant nor equal to another.
        toggles: Toggles per output bit and clock at random places.
    """

    narrow: int
    wide: int
    registers: int
    toggles: float


def table_luts(table: tuple[int, ...], *, width: int, registered: bool) -> TableLuts:
    """Return what a table takes in logic.

    In front of a register, an output bit that half the table holds at one value is a synchronous
    reset, which costs a LUT per different condition and leaves a smaller table.

    Args:
        table: A power of two of words; of more than 512 the toggles alone count, for a block RAM
            holds them.
        width: Bits per word.
        registered: Whether a register behind the table can take synchronous resets.
    """
    bits = np.array([[word >> bit & 1 for word in table] for bit in range(width)], dtype=np.uint8)
    columns = list({bit.tobytes(): bit for bit in bits if 0 < bit.sum() < bit.size}.values())
    share = bits.mean(axis=1)
    toggles = float((2 * share * (1 - share)).mean())
    if len(table) > 1 << max(_RESET_INPUTS):
        return TableLuts(0, 0, 0, toggles)
    splits = registered and len(table).bit_length() - 1 in _RESET_INPUTS
    rests: dict[bytes, Column] = {}
    resets: set[tuple[int, ...]] = set()
    for column in columns:
        if _essential(column).ndim <= 1:
            continue
        reset, rest = _split_reset(column) if splits else ((), column)
        resets |= {reset} if reset else set()
        # Without a register, an output bit may be an inverted other one, which costs nothing.
        rests[(rest if registered else rest ^ rest[0]).tobytes()] = rest
    costs = [(_essential(rest).ndim, _luts(_essential(rest))) for rest in rests.values()]
    return TableLuts(
        narrow=len(resets) + sum(luts for inputs, luts in costs if inputs <= LUT_INPUTS + 1),
        wide=sum(luts for inputs, luts in costs if inputs > LUT_INPUTS + 1),
        registers=len(columns),
        toggles=toggles,
    )


def _essential(column: Column) -> Column:
    """Return the column over the inputs on which it depends, one axis of two for each."""
    cube = column.reshape((2,) * (column.size.bit_length() - 1))
    for axis in reversed(range(cube.ndim)):
        if np.array_equal(cube.take(0, axis), cube.take(1, axis)):
            cube = np.asarray(cube.take(0, axis))
    return cube


def _split_reset(column: Column) -> tuple[tuple[int, ...], Column]:
    """Return which halves are constant, from the highest input down, and what they leave."""
    halves: list[int] = []
    value: int | None = None
    while _essential(column).ndim > 1:
        parts = column.reshape(2, -1)
        constant = [half for half in (0, 1) if parts[half].min() == parts[half].max()]
        constant = [half for half in constant if value in (None, int(parts[half][0]))]
        if not constant:
            break
        value = int(parts[constant[0]][0])
        halves.append(constant[0])
        column = np.asarray(parts[1 - constant[0]])
    return tuple(halves), column


def _luts(cube: Column) -> int:
    """Return the LUTs of one column: halves, quarters or eighths of six inputs, and their choice.

    The multiplexers that join two or four LUTs come with the slice. Different pieces alone count,
    when few enough of them are left for one LUT to choose from.
    """
    spare = cube.ndim - LUT_INPUTS
    if spare <= 1:
        return (cube.ndim > 1) * (1 + (spare == 1))
    most = (1 << spare) + (spare - 2)
    return min(most, *(_chosen(cube, inputs) for inputs in combinations(range(cube.ndim), spare)))


def _chosen(cube: Column, inputs: tuple[int, ...]) -> int:
    """Return the LUTs if these inputs choose among pieces."""
    rows = np.moveaxis(cube, inputs, range(len(inputs))).reshape(1 << len(inputs), -1)
    pieces = len({row.tobytes() for row in rows if 0 < row.sum() < row.size})
    return pieces + -(-(pieces + len(inputs) - 1) // (LUT_INPUTS - 1))
