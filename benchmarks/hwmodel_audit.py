"""Audit formulae against brute force on every small design, and test batteries on the streams.

    python benchmarks/hwmodel_audit.py

Brute force walks a stream step by step until it comes round. The batteries are the classic bit
tests (frequency, runs, poker on 4 bits, rank of 32 x 32 matrices) and linear complexity. LFSRs are
linear, so the last two must fail for every design that hands out their bits: that is expected.
"""

from collections.abc import Iterator
from itertools import product
from math import erfc, exp, sqrt

import numpy as np
from numpy.typing import NDArray
from reporting import write_result

from hwmodel import Clt, Design, InverseCdf, Lfsr, LfsrBank, Pool, Replicate, get_design
from hwmodel.quality import linear_complexity, measure_quality, perturbation_rank

WEIGHTS = (1, 2, 3, 5, 8, 12, 30, 31, 60, 105, 255, 1000)
STREAMS = {
    "lfsr-8": "uniform",
    "lfsr-8-leap": "uniform",
    "lfsr:state_bits=24,bits=8,leap=29": "uniform",
    "bank-31x8": "uniform",
    "bank-31x14": "uniform",
    "pool-4093x8": "uniform",
    "clt-12x8": "normal",
    "inverse-cdf-8": "normal",
    "tree-8": "normal",
    "box-muller-12": "normal",
    "wallace-1024x12": "normal",
}
SIGNIFICANCE = 1e-3


def main() -> None:
    designs = list(small_designs())
    wrong = [design.spec for design in designs if not period_is_right(design)]
    cases = [(design, weights) for design in designs for weights in WEIGHTS]
    wrong += [f"{d.spec}, {w}" for d, w in cases if not directions_are_right(d, w)]
    print(f"{len(designs)} periods and {len(cases)} direction counts by brute force: {wrong=}")
    ranks = [rank_row(7, 4, rotation) for rotation in ("ring", "none")]
    streams = {name: stream_row(name, law) for name, law in STREAMS.items()}
    for name, row in {"ranks": ranks, **streams}.items():
        print(name, row)
    result = {"designs": len(designs), "wrong": wrong, "ranks": ranks, "streams": streams}
    print(write_result("hwmodel_audit", n=len(cases), result=result))


def small_designs() -> Iterator[Design]:
    for bits, rotation in product((2, 3, 4), ("ring", "barrel", "none")):
        for num_rngs in range(1, 1 << bits):
            yield LfsrBank(num_rngs=num_rngs, bits=bits, rotation=rotation)
    for size, bits in product(range(2, 41), (1, 3, 8)):
        yield Pool(size=size, bits=bits)
    for bits, form in product(range(2, 8), ("fibonacci", "galois")):
        yield Lfsr(state_bits=bits, form=form)
    for terms, state_bits in product((2, 3, 5), (3, 4, 5)):
        yield Clt(terms=terms, bits=3, state_bits=state_bits)
        yield Replicate(design=Clt(terms=terms, bits=3, state_bits=state_bits), lanes=3)
    for address_bits in (3, 4, 5):
        yield InverseCdf(address_bits=address_bits, bits=4, state_bits=6)


def period_is_right(design: Design) -> bool:
    """Return whether the stream repeats after its period, in whole clocks, and not before."""
    length = 4 * design.period
    codes = design.codes(0, 3 * design.period).tobytes()
    step = 4 * (1 if design.kind == "pool" else design.numbers_per_cycle)
    shifts = range(step, 2 * length, step)
    return next(s for s in shifts if codes[s : s + length] == codes[:length]) == length


def directions_are_right(design: Design, num_weights: int) -> bool:
    advance, met = design.numbers_per_step(num_weights), set()
    for step in range(design.period + 1):
        seen = design.codes(step * advance, design.period).tobytes()
        if seen in met:
            break
        met.add(seen)
    return len(met) == design.audit(num_weights).distinct_directions


def rank_row(num_rngs: int, bits: int, rotation: str) -> dict:
    """Return the directions and the rank of a bank whose steps visit its whole cycle."""
    bank = LfsrBank(num_rngs=num_rngs, bits=bits, rotation=rotation)
    weights = 71 * num_rngs
    directions = bank.audit(weights).distinct_directions
    rank = perturbation_rank(bank, num_weights=weights, steps=2 * directions)
    return {"bank": bank.name, "directions": directions, "rank": rank}


def stream_row(name: str, law: str) -> dict:
    design = get_design(name)
    quality = measure_quality(design, law=law)
    codes = design.codes(0, 1 << 18)
    signs = (codes < 0).astype(np.int64)
    p_values = {
        "frequency": frequency(signs),
        "runs": runs(signs),
        "poker": poker(signs),
        "rank 32x32": matrix_rank(signs[: 64 * 1024]),
    }
    return {
        "kurtosis": round(quality.kurtosis, 3),
        "law distance": round(quality.law_distance, 4),
        "lag 1": round(quality.autocorrelation[0], 3),
        "largest of lags 1-8": round(max(map(abs, quality.autocorrelation)), 3),
        "lane correlation": round(quality.lane_correlation, 3),
        "failed": [test for test, p in p_values.items() if p < SIGNIFICANCE],
        "linear complexity of 2,000 signs": linear_complexity(signs[:2000]),
    }


def frequency(bits: NDArray[np.int64]) -> float:
    return erfc(abs(2 * bits.sum() - bits.size) / sqrt(2 * bits.size))


def runs(bits: NDArray[np.int64]) -> float:
    share = bits.mean()
    expected = 2 * bits.size * share * (1 - share)
    seen = 1 + np.count_nonzero(bits[1:] != bits[:-1])
    return erfc(abs(seen - expected) / (2 * sqrt(2 * bits.size) * share * (1 - share)))


def poker(bits: NDArray[np.int64]) -> float:
    """Return the p-value of the 16 nibbles' counts, chi squared with 15 degrees of freedom."""
    nibbles = bits[: bits.size // 4 * 4].reshape(-1, 4) @ np.array([8, 4, 2, 1])
    counts = np.bincount(nibbles, minlength=16)
    expected = nibbles.size / 16
    return normal_tail_of_chi2(float(((counts - expected) ** 2 / expected).sum()), freedom=15)


def normal_tail_of_chi2(value: float, *, freedom: int) -> float:
    """Return an upper tail by the Wilson-Hilferty approximation."""
    spread = 2 / (9 * freedom)
    z = ((value / freedom) ** (1 / 3) - 1 + spread) / sqrt(spread)
    return 0.5 * erfc(z / sqrt(2))


def matrix_rank(bits: NDArray[np.int64]) -> float:
    """Return the p-value of the ranks of 32 x 32 matrices (Marsaglia's probabilities)."""
    ranks = [gf2_rank(matrix) for matrix in bits.reshape(-1, 32, 32)]
    share = np.array([0.2888, 0.5776, 0.1336])
    seen = np.array([ranks.count(32), ranks.count(31), sum(rank < 31 for rank in ranks)])
    expected = share * len(ranks)
    return exp(-float(((seen - expected) ** 2 / expected).sum()) / 2)


def gf2_rank(matrix: NDArray[np.int64]) -> int:
    basis: list[int] = []
    for row in matrix.tolist():
        value = int("".join(map(str, row)), 2)
        for known in basis:
            value = min(value, value ^ known)
        if value:
            basis.append(value)
    return len(basis)


if __name__ == "__main__":
    main()
