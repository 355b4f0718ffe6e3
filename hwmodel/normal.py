"""The normal law on a grid of codes, as the Gaussian generators need it."""

from itertools import pairwise
from math import inf
from statistics import NormalDist

# Magnitudes are coded up to this many standard deviations. The published tree and table
# generators of eight bits stop there too.
REACH_SIGMA = 4.0

_NORMAL = NormalDist()


def sign_magnitude_lsb(bits: int) -> float:
    """Return the worth of one unit of ``code = +-(2 magnitude + 1)`` in standard deviations."""
    return REACH_SIGMA / (1 << bits)


def cell_masses(magnitude_bits: int) -> list[float]:
    """Return the probability of every magnitude of half a normal law, summing to one.

    Args:
        magnitude_bits: Magnitudes are 0 to ``2**magnitude_bits - 1``; the last reaches to
            infinity.
    """
    cells = 1 << magnitude_bits
    edges = [REACH_SIGMA * place / cells for place in range(cells)] + [inf]
    upper = [1.0 if edge == inf else 2 * _NORMAL.cdf(edge) - 1 for edge in edges]
    return [high - low for low, high in pairwise(upper)]


def magnitude_at(fraction: float, *, magnitude_bits: int) -> int:
    """Return the magnitude below which ``fraction`` of half a normal law lies."""
    sigma = _NORMAL.inv_cdf(0.5 + fraction / 2)
    cells = 1 << magnitude_bits
    return min(cells - 1, int(sigma * cells / REACH_SIGMA))
