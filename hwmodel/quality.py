"""Statistics of a stream, as a zeroth-order optimizer and a test battery see them."""

from dataclasses import dataclass
from math import erf, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwmodel.checks import choose, require
from hwmodel.designs.base import Codes, Design

Law = Literal["uniform", "normal"]

LAGS = 8


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What a stretch of a stream looks like.

    Attributes:
        numbers: Length of the stretch.
        mean: Mean value, over the standard deviation.
        kurtosis: Fourth standardised moment: 1.8 of a uniform law, 3 of a normal one.
        law_distance: Largest distance between the empirical distribution and the law's
            (Kolmogorov-Smirnov).
        autocorrelation: Correlation of successive numbers of one lane, lags 1 to 8.
        lane_correlation: Largest absolute correlation of two lanes in the same clock.
    """

    numbers: int
    mean: float
    kurtosis: float
    law_distance: float
    autocorrelation: tuple[float, ...]
    lane_correlation: float


def measure_quality(design: Design, *, law: Law, clocks: int = 1 << 14) -> Quality:
    """Return the statistics of the first ``clocks`` clocks of a stream.

    Args:
        design: The design.
        law: Which law the stream should follow.
        clocks: Clocks to look at.
    """
    choose(law, ("uniform", "normal"), what="law")
    lanes = design.numbers_per_cycle
    rows = design.codes(0, clocks * lanes).reshape(clocks, lanes).astype(np.float64)
    values = (rows - rows.mean()) / rows.std()
    return Quality(
        numbers=rows.size,
        mean=float(rows.mean() / rows.std()),
        kurtosis=float((values**4).mean()),
        law_distance=_law_distance(rows.reshape(-1), law),
        autocorrelation=tuple(float((values[lag:] * values[:-lag]).mean()) for lag in _lags()),
        lane_correlation=_lane_correlation(values),
    )


def _lags() -> range:
    return range(1, LAGS + 1)


def _lane_correlation(values: NDArray[np.float64]) -> float:
    if values.shape[1] == 1:
        return 0.0
    correlation = np.asarray(np.corrcoef(values, rowvar=False))
    return float(np.abs(correlation - np.eye(values.shape[1])).max())


def _law_distance(values: NDArray[np.float64], law: Law) -> float:
    """Return the distance at the middles between neighbouring codes, where a grid is no error."""
    levels, counts = np.unique(values, return_counts=True)
    edges = (levels[:-1] + levels[1:]) / 2
    below = np.cumsum(counts)[:-1] / values.size
    spread = values.std()
    if law == "uniform":
        half = spread * sqrt(3)
        expected = np.clip((edges - values.mean() + half) / (2 * half), 0, 1)
    else:
        expected = np.array([(1 + erf(e / spread / sqrt(2))) / 2 for e in edges - values.mean()])
    return float(np.abs(below - expected).max())


def perturbation_rank(design: Design, *, num_weights: int, steps: int) -> int:
    """Return the rank of the perturbations of ``steps`` steps: what convergence sees.

    Args:
        design: The design.
        num_weights: Weights per perturbation.
        steps: Perturbations to stack.
    """
    require(steps >= 1, law="steps >= 1", got=f"{steps=}", fix="ask for one step or more")
    advance = design.numbers_per_step(num_weights)
    rows: list[Codes] = [design.codes(step * advance, num_weights) for step in range(steps)]
    return int(np.linalg.matrix_rank(np.array(rows, dtype=np.float64)))


def linear_complexity(bits: NDArray[np.int64]) -> int:
    """Return the length of the shortest LFSR that makes these bits (Berlekamp-Massey).

    Random bits need half their number; one bit of an LFSR of ``n`` bits needs ``n``.
    """
    current, previous = 1, 1
    length, gap = 0, 1
    seen = 0
    for place, bit in enumerate(bits.tolist()):
        seen = seen << 1 | bit
        if (current & seen).bit_count() % 2 == 0:
            gap += 1
            continue
        changed = current ^ previous << gap
        if 2 * length <= place:
            length, previous, gap = place + 1 - length, current, 1
        else:
            gap += 1
        current = changed
    return length
