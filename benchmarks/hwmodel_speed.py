"""Golden streams in codes per second on one core, and the time of one score.

    python benchmarks/hwmodel_speed.py

A stream is read in stretches of 2^20 and of 2^24 codes; the timer covers ``codes()`` alone, after
one call that builds the table. A score covers resources, activity, power and audit of designs
that were not scored before.
"""

import time
from collections.abc import Callable
from statistics import median

from reporting import write_result

from hwmodel import BoxMuller, InverseCdf, LfsrBank, Pool, TreeGrng, get_design, score

REPEATS = 9
STREAMS = ["bank-31x8", "bank-31x14", "pool-4093x8", "pool-8191x1", "clt-12x8"]


def main() -> None:
    streams = {
        f"{name}, 2^{log}": codes_per_s(name, 1 << log) for name in STREAMS for log in (20, 24)
    }
    scores = {
        "bank": score_us([LfsrBank(num_rngs=7 + i, bits=10) for i in range(99)]),
        "barrel": score_us([LfsrBank(num_rngs=7 + i, rotation="barrel") for i in range(99)]),
        "pool": score_us([Pool(size=1000 + i, lanes=4) for i in range(99)]),
        "inverse CDF": score_us([InverseCdf(bits=4 + i % 8, seed=i) for i in range(99)]),
        "tree": score_us([TreeGrng(bits=4 + i % 6, seed=i) for i in range(99)]),
        "Box-Muller": score_us([BoxMuller(bits=8 + i % 8, seed=i) for i in range(99)]),
    }
    for name, rate in streams.items():
        print(f"{name:24s} {rate / 1e6:8.0f} million codes/s")
    for name, us in scores.items():
        print(f"score of a {name:16s} {us:8.1f} us")
    result = {"codes_per_s": streams, "score_us_median": scores}
    print(write_result("hwmodel_speed", n=REPEATS, result=result))


def codes_per_s(name: str, length: int) -> float:
    design = get_design(name)
    design.codes(0, 1)
    return length / median(timed(lambda: design.codes(12_345, length)) for _ in range(REPEATS))


def score_us(designs: list) -> float:
    def once(design) -> None:
        score(design, "rapidsilicon-published", 100.0, num_weights=86_000)

    return 1e6 * median(timed(lambda design=design: once(design)) for design in designs)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
