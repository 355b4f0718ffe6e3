"""Formulae as they are shipped against Yosys, on points drawn by a seed and never seen before.

    python benchmarks/hwmodel_heldout.py --seed N [--points 44]

A seed serves once: after a look at its points they can still be repeated, but no longer call a
changed formula right. The points are drawn over the whole range of every parameter, without the
shapes of the calibration, of the seeds spent before and of ``hwmodel_seen.txt``, which were looked
at while the formulae were made. Nothing is fitted here.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from statistics import fmean, median

from reporting import write_result

from hwmodel import Design, Resources, get_design, synthesize
from hwmodel.calibration_points import POINTS
from hwmodel.sampling import random_designs

OUTLIER = 0.15
# Seeds that have been measured, in this order. The first one refuted the formulae of its time.
SPENT = (20261124, 31, 32)
# Designs that load the coefficients and the tables, which no point should pay for.
LOADING = ("lfsr-8", "inverse-cdf-8", "wallace-1024x12")
SEEN = Path(__file__).with_name("hwmodel_seen.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--points", type=int, default=44)
    options = parser.parse_args()
    for name in LOADING:
        get_design(name).resources()
    rows = [measured(family, design) for family, design in fresh(options.seed, options.points)]
    result = {"seed": options.seed, **summary(rows), "points": rows}
    for key, value in result.items():
        if key != "points":
            print(f"{key}: {value}")
    print(write_result(f"hwmodel_heldout_{options.seed}", n=len(rows), result=result))


def fresh(seed: int, points: int) -> list[tuple[str, Design]]:
    """Return points without the shapes that were known when the seed was drawn."""
    seeds = (*SPENT, seed)
    specs = [spec for specs in POINTS.values() for spec in specs]
    if seeds.index(seed):
        specs += SEEN.read_text().split()
    known = [get_design(spec) for spec in specs]
    for earlier in seeds[: seeds.index(seed)]:
        known += [design for _, design in fresh(earlier, 44)]
    return list(islice(random_designs(seed, known=tuple(known)), points))


def measured(family: str, design: Design) -> dict:
    """Return model and tool of one point, with both run times."""
    began = time.process_time()
    model = design.resources()
    model_s = time.process_time() - began
    began = time.perf_counter()
    tool = synthesize(design)
    row = {
        "design": design.spec,
        "family": family,
        "model": vars(model),
        "yosys": vars(tool),
        "lut_error": lut_error(model, tool),
        "model_s": model_s,
        "yosys_s": time.perf_counter() - began,
    }
    print(f"{design.name:56s} {model} | {tool} | {row['lut_error']:+.1%}", flush=True)
    return row


def lut_error(model: Resources, tool: Resources) -> float:
    """Return the relative error; no LUTs where there are none is no error."""
    return model.lut / tool.lut - 1 if tool.lut else float(model.lut != 0)


def summary(rows: list[dict]) -> dict:
    errors = {row["design"]: row["lut_error"] for row in rows}
    ratios = [row["yosys_s"] / row["model_s"] for row in rows]
    return {
        "FF, BRAM or DSP not exact": [row["design"] for row in rows if not storage_exact(row)],
        "LUT mean absolute error": fmean(map(abs, errors.values())),
        "LUT mean absolute error by family": by_family(rows),
        "LUT worst error": max(errors.values(), key=abs),
        "outliers": {spec: error for spec, error in errors.items() if abs(error) > OUTLIER},
        "synthesis, total s": sum(row["yosys_s"] for row in rows),
        "model on a shape never priced before, median us": median(r["model_s"] for r in rows)
        * 1e6,
        "model faster, least": min(ratios),
        "model faster, median": median(ratios),
    }


def storage_exact(row: dict) -> bool:
    return all(row["model"][name] == row["yosys"][name] for name in ("ff", "bram", "dsp"))


def by_family(rows: list[dict]) -> dict[str, float]:
    families = dict.fromkeys(row["family"] for row in rows)
    return {
        family: fmean(abs(row["lut_error"]) for row in rows if row["family"] == family)
        for family in families
    }


if __name__ == "__main__":
    main()
