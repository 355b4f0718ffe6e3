"""How many six-input LUTs small pieces of logic take, from what they compute."""

from collections.abc import Mapping
from functools import cache

from hwmodel.technologies import load_technology

LUT_INPUTS = 6


def xor_luts(inputs: int) -> int:
    """Return the LUTs of one XOR, or of any tree of two-input gates.

    Every LUT turns six signals into one and so removes five.
    """
    return -(-(inputs - 1) // (LUT_INPUTS - 1)) if inputs > 1 else 0


def fitted_luts(terms: Mapping[str, float]) -> int:
    """Return the LUTs of amounts of fitted coefficients, rounded.

    Args:
        terms: Amounts by name of a coefficient of technology ``xc7-yosys``; ``lut`` is one LUT.
    """
    return round(sum(amount * _coefficient(name) for name, amount in terms.items()))


@cache
def _coefficient(name: str) -> float:
    return 1.0 if name == "lut" else load_technology("xc7-yosys")[name].value


@cache
def table_stretches(table: tuple[int, ...], *, width: int) -> int:
    """Return how many LUTs the entries of a look-up table fill.

    Each LUT holds 64 entries of one output bit. Entries that are all equal take none, and within
    a bit, stretches that are equal or each other's complement share one. The multiplexers that
    join four LUTs come with the slice; one more LUT joins each further four.

    Args:
        table: A power of two of words.
        width: Bits per word.
    """
    total = 0
    for bit in range(width):
        column = [word >> bit & 1 for word in table]
        starts = range(0, len(table), 1 << LUT_INPUTS)
        stretches = [column[start : start + (1 << LUT_INPUTS)] for start in starts]
        held = {tuple(value ^ s[0] for value in s) for s in stretches if 0 < sum(s) < len(s)}
        total += len(held) + (len(held) - 1) // 4 if held else 0
    return total


@cache
def decision_luts(table: tuple[int, ...], *, width: int) -> int:
    """Return the LUTs that compare a word with the entry of ``table`` that an index selects.

    Either the entry is looked up and compared, where only the bits in which entries differ are
    signals; or, for few entries, the word is compared with every entry as a constant.

    Args:
        table: A power of two of words.
        width: Bits per word.
    """
    columns = [{word >> bit & 1 for word in table} for bit in range(width)]
    varying = sum(len(column) == 2 for column in columns)
    looked_up = table_stretches(table, width=width) + xor_luts(width + varying)
    return min(looked_up, len(table) * xor_luts(width))


def counter_luts(count: int) -> int:
    """Return the LUTs of a counter of 0 to ``count - 1``.

    The carry chain counts for free. A count that is no power of two compares the counter with
    its last value, in LUTs of six inputs each and one to join them; what it clears then are the
    bits set in ``count``, for the carry chain has just made that number.
    """
    bits = (count - 1).bit_length()
    if count == 1 << bits:
        return 0
    return count.bit_count() + -(-bits // LUT_INPUTS) + (bits > LUT_INPUTS)


def small_counter_luts(count: int) -> int:
    """Return the LUTs of a counter so small that each next bit is one function of all bits."""
    return (count - 1).bit_length()
