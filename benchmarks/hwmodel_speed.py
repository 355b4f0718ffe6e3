"""Golden streams in codes per second on one core, and the time of a design's first score.

    python benchmarks/hwmodel_speed.py

A stream is read in stretches of 2^20 and of 2^24 codes; the timer covers ``codes()`` alone, after
one call that builds the table, and the median of all rounds is by the process's own time, since
the machine may be shared; the wall time is beside it. Most banks here have periods far beyond what
is kept.

A first score is of a shape that the process has not scored before: the design is made from its
parameters and scored once. That is done in several fresh processes, each with an order of its own,
and the median of each shape counts: what interrupts every process somewhere, as the collection of
garbage does, is no shape's time.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from itertools import islice
from math import log2
from random import Random
from statistics import median

from reporting import write_result

from hwmodel import Design, get_design, score
from hwmodel.sampling import random_designs

REPEATS = 9
STREAMS = [
    "bank-31x8",
    "bank-31x14",
    "lfsr_bank:num_rngs=31,bits=16",
    "lfsr_bank:num_rngs=31,bits=20",
    "lfsr_bank:num_rngs=31,bits=24",
    "lfsr_bank:num_rngs=31,bits=24,rotation=none",
    "lfsr_bank:num_rngs=2,bits=24",
    "lfsr_bank:num_rngs=101,bits=14",
    "lfsr_bank:num_rngs=128,bits=17",
    "lfsr_bank:num_rngs=255,bits=12",
    "lfsr_bank:num_rngs=1000,bits=14",
    "pool-4093x8",
    "pool-8191x1",
    "pool:size=1048573,bits=8",
    "pool:size=16777213,bits=8",
    "clt-12x8",
]
SHAPES = 330
SEED = 1
PROCESSES = 7
# A process's very first score loads the technology and the tables; these four load them all.
WARMING = ("lfsr-8", "inverse-cdf-8", "box-muller-12", "wallace-1024x12")


def main() -> None:
    if "--first-scores" in sys.argv:
        print(json.dumps(first_scores(order=int(sys.argv[-1]))))
        return
    streams = {name: stream_row(name) for name in STREAMS}
    for name, row in streams.items():
        rates = " ".join(f"{key}: {rate / 1e6:6.0f}" for key, rate in row["codes_per_s"].items())
        print(f"{name:48s} period 2^{row['log2 period']:.1f}  {rates}  million codes/s")
    runs = [run_first_scores(order) for order in range(PROCESSES)]
    families = scores_by_family(runs)
    for family, row in families.items():
        print(f"first score of a {family:18s} {row}")
    warming = {
        name: round(median(run["warming"][name] for run in runs), 1) for name in runs[0]["warming"]
    }
    print(f"first scores of a process, us: {warming}")
    result = {
        "codes": streams,
        "first_score_us": families,
        "first_scores_of_a_process_us": warming,
        "processes": PROCESSES,
    }
    print(write_result("hwmodel_speed", n=REPEATS, result=result))


def stream_row(name: str) -> dict:
    design = get_design(name)
    rates = {}
    for log in (20, 24):
        own, wall = seconds_per_stretch(design, 1 << log)
        rates[f"2^{log}"] = (1 << log) / own
        rates[f"2^{log}, wall"] = (1 << log) / wall
    return {"log2 period": log2(design.period), "codes_per_s": rates}


def seconds_per_stretch(design: Design, length: int) -> tuple[float, float]:
    """Return the median of the process's own seconds and of the wall's."""
    design.codes(0, length)
    times = [timed(lambda: design.codes(12_345, length)) for _ in range(REPEATS)]
    return median(own for own, _ in times), median(wall for _, wall in times)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, own = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - own, time.perf_counter() - wall


def run_first_scores(order: int) -> dict:
    command = [sys.executable, __file__, "--first-scores", str(order)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def first_scores(*, order: int) -> dict:
    """Return the microseconds of scoring shapes for the first time in this process.

    Args:
        order: Seed of the order in which they are scored; the rows are in the order drawn.
    """
    warming = {
        name: 1e6 * timed(lambda name=name: priced(get_design(name)))[0] for name in WARMING
    }
    shapes = list(islice(random_designs(SEED), SHAPES))
    rows = {}
    for place in Random(order).sample(range(SHAPES), SHAPES):
        family, drawn = shapes[place]
        forget()
        given = {field.name: getattr(drawn, field.name) for field in fields(drawn)}
        make = partial(type(drawn), **given)
        own, _ = timed(lambda make=make: priced(make()))
        rows[place] = (family, drawn.spec, 1e6 * own)
    return {"warming": warming, "rows": [rows[place] for place in range(SHAPES)]}


def priced(design: Design) -> object:
    return score(design, "rapidsilicon-published", 100.0, num_weights=86_000)


def forget() -> None:
    """Clear what is kept by shape, since drawing a design has checked its parameters already."""
    modules = [module for name, module in sys.modules.items() if name.startswith("hwmodel.")]
    for thing in [thing for module in modules for thing in vars(module).values()]:
        if hasattr(thing, "cache_clear") and thing.__module__ not in KEPT_MODULES:
            thing.cache_clear()


# What every score of a process shares, whatever its shape.
KEPT_MODULES = ("hwmodel.technologies", "hwmodel.table_counts", "hwmodel.luts")


def scores_by_family(runs: list[dict]) -> dict[str, dict]:
    """Return the median and the worst shape of each family, each shape's median over the runs."""
    found: dict[str, list[tuple[float, str]]] = {}
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        family, spec, _ = rows[0]
        found.setdefault(family, []).append((median(us for *_, us in rows), spec))
    return {
        family: {
            "shapes": len(shapes),
            "median": round(median(us for us, _ in shapes), 1),
            "worst": round(max(shapes)[0], 1),
            "worst shape": max(shapes)[1],
        }
        for family, shapes in found.items()
    }


if __name__ == "__main__":
    main()
