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


# LUTs that compare a counter with its last value, read off 80 counters that Yosys mapped: by bits,
# if two bits are set in the count, if more, and if more and it is a multiple of eight.
_COMPARED = {
    2: (0, 0, 0),
    3: (0, 0, 0),
    4: (0, 0, 0),
    5: (0, 1, 0),
    6: (1, 1, 1),
    7: (1, 3, 1),
    8: (2, 3, 2),
    9: (2, 2, 2),
    10: (2, 4, 2),
    11: (2, 3, 2),
    12: (4, 4, 4),
}


def counter_luts(count: int) -> int:
    """Return the LUTs of a counter of 0 to ``count - 1``.

    The carry chain counts for free. A count that is no power of two clears the bits set in
    ``count``, for the carry chain has just made that number, and compares the counter with its
    last value, which takes the more LUTs the longer the counter and the fewer of its low bits are
    all ones.
    """
    bits = (count - 1).bit_length()
    if count == 1 << bits:
        return 0
    few, odd, even = _COMPARED[min(bits, max(_COMPARED))]
    if count.bit_count() == 2:
        return 2 + few
    return count.bit_count() + (odd if count % 8 else even)


def small_counter_luts(count: int) -> int:
    """Return the LUTs of a counter so small that each next bit is one function of all bits."""
    return (count - 1).bit_length()
