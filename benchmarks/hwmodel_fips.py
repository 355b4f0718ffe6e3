"""Why blocks of Box-Muller's signs fail FIPS 140-2: three bits that add up to nothing, too often.

    python benchmarks/hwmodel_fips.py

A sign of Box-Muller is a bit of its angle's LFSR, or the sum of two: linear either way. Linear
bits are dependent in threes. Of a block's N clocks about N^3 / (6 (2^n - 1)) triples always add up
to zero, whatever the polynomial; each triple beyond that skews the number of ones in a block by
``6 / N^1.5``. A polynomial of three terms is such a triple, at every clock. So are its squares,
fourth powers and so on, and all of them remain if every eighth bit is taken, because taking every
2^k-th bit only permutes the roots.

The controls change one thing each: the leap, the polynomial, the length of the register. All tests
but the counting of triples are ``rngtest``'s, on the bits as ``hwmodel_batteries.py`` packs them.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hwmodel_batteries import FILE_BYTES, fips
from numpy.typing import NDArray
from reporting import write_result

from hwmodel import get_design, gf2
from hwmodel.designs.lfsr_group import LfsrGroup

DESIGN = "box-muller-12"
# FIPS 140-2 takes blocks of 20,000 bits, two of which leave per clock.
BLOCK_CLOCKS = 10_000
RANDOM_POLYNOMIALS = 30
# Bits of the angle's LFSR: the upper is the sine's sign, both together are the cosine's.
QUADRANT = (7, 6)

Bits = NDArray[np.int32]


def main() -> None:
    if shutil.which("rngtest") is None:
        raise SystemExit("NOT RUN: rngtest is not installed (apt-get install rng-tools5)")
    own = get_design(DESIGN).lfsrs["y"]
    same = np.array_equal(get_design(DESIGN).codes(0, 1 << 20) < 0, signs(own, 1 << 19))
    print(f"the signs of {DESIGN} are bits {QUADRANT} of {own}: {same}")
    rows = {name: row(lfsr) for name, lfsr in cases(own).items()}
    for name, found in rows.items():
        print(f"{name:44s} {found}", flush=True)
    drawn = [row(LfsrGroup(count=1, bits=20, leap=8, seed=0, taps=taps)) for taps in polynomials()]
    failed = sorted(found["failed blocks"] for found in drawn)
    excess = sorted(found["triples beyond chance, per clock"] for found in drawn)
    print(f"{len(drawn)} random primitive polynomials: failed blocks {failed}, excess {excess}")
    result = {"signs are linear": same, "cases": rows, "random polynomials": drawn}
    print(write_result("hwmodel_fips", n=len(rows) + len(drawn), result=result))


def cases(own: LfsrGroup) -> dict[str, LfsrGroup]:
    """Return the LFSR of the angle as it is, and with one thing changed."""
    found = {f"as it is: {own.polynomial}, leap {own.leap}": own}
    for leap in (16, 32, 64, 7, 13, 17, 19, 23):
        found[f"leap {leap}"] = LfsrGroup(count=1, bits=own.bits, leap=leap, seed=0)
    # A multiple of this one is x^178 + x^69 + 1.
    for taps in ((20, 3), (20, 19, 15, 10), (20, 19, 16, 14)):
        found[f"{taps}, leap 8"] = LfsrGroup(count=1, bits=20, leap=8, seed=0, taps=taps)
    for bits in (22, 23):
        found[f"{gf2.TAPS[bits]}, leap 8"] = LfsrGroup(count=1, bits=bits, leap=8, seed=0)
    return found


def polynomials() -> list[tuple[int, ...]]:
    """Return random primitive polynomials of degree 20, the same ones every time."""
    rng, found = np.random.default_rng(1), []
    while len(found) < RANDOM_POLYNOMIALS:
        lower = np.flatnonzero(rng.integers(0, 2, 19)) + 1
        taps = (20, *sorted(map(int, lower), reverse=True))
        if gf2.is_maximal(gf2.shift_map(taps)):
            found.append(taps)
    return found


def signs(lfsr: LfsrGroup, clocks: int) -> Bits:
    """Return the signs of cosine and sine, shape ``(2 * clocks,)``, in the order they leave."""
    states = lfsr.states(0, np.arange(clocks))
    upper, lower = (states >> bit & 1 for bit in QUADRANT)
    return np.stack([upper ^ lower, upper], axis=1).reshape(-1)


def row(lfsr: LfsrGroup) -> dict:
    """Return what fails of four megabytes, and the triples behind it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bits")
        np.packbits(signs(lfsr, 4 * FILE_BYTES).astype(np.uint8)).tofile(path)
        found = fips(path)["FIPS 140-2"]
    excess, nearest = triples(lfsr)
    return {
        "taps": lfsr.polynomial,
        "leap": lfsr.leap,
        "failed blocks": found["FIPS 140-2 failures"],
        "by test": {key.split(") ")[1]: n for key, n in found.items() if ") " in key and n},
        "triples beyond chance, per clock": round(excess / BLOCK_CLOCKS, 2),
        "skewness they make": round(6 * excess / BLOCK_CLOCKS**1.5, 2),
        "skewness of ones in all blocks": round(skewness(lfsr), 2),
        "nearest triple": nearest,
    }


def triples(lfsr: LfsrGroup) -> tuple[float, tuple[int, int]]:
    """Return the triples in a block that add up to zero, less chance, and the nearest of them.

    The bit after ``t`` clocks is a row of the LFSR's map to the power ``t``; rows walk an orbit of
    the transposed map, so two of them add up to the one that a table of logarithms names.
    """
    transposed = tuple(lfsr.rows)
    walked = gf2.orbit(transposed, lfsr.period)
    logarithm = np.empty(lfsr.period + 1, dtype=np.int64)
    logarithm[walked] = np.arange(lfsr.period)
    apart = np.arange(1, BLOCK_CLOCKS)
    third = logarithm[walked[apart] ^ walked[0]]
    inside = (third > apart) & (third < BLOCK_CLOCKS)
    seen = int((BLOCK_CLOCKS - third[inside]).sum())
    pairs = zip(third[inside].tolist(), apart[inside].tolist(), strict=True)
    return seen - BLOCK_CLOCKS**3 / (6 * lfsr.period), min(pairs)


def skewness(lfsr: LfsrGroup) -> float:
    """Return the skewness of the sine's signs, added up over a block that starts anywhere."""
    values = 1 - 2 * (lfsr.states(0, np.arange(lfsr.period)) >> QUADRANT[0] & 1).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(np.concatenate([values, values[:BLOCK_CLOCKS]]))])
    sums = (total[BLOCK_CLOCKS:] - total[:-BLOCK_CLOCKS])[: lfsr.period].astype(np.float64)
    sums -= sums.mean()
    return float((sums**3).mean() / (sums**2).mean() ** 1.5)


if __name__ == "__main__":
    main()
