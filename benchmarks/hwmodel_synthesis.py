"""Formulae against Yosys: every design point of the calibration, a third of them held out.

    python benchmarks/hwmodel_synthesis.py [--refit] [--reuse]

Prints model beside tool for each point, the errors, the outliers and both run times; ``--refit``
also rewrites the coefficients that the package ships, and ``--reuse`` synthesises only
what the last run has not. Use it as long as the designs emit the same Verilog.
"""

import argparse
import json
import re
import time
from importlib import resources
from pathlib import Path
from statistics import median

from reporting import RESULTS, write_result

from hwmodel import Resources, calibrate, get_design
from hwmodel.calibration import Calibration, Measurement

OUTLIER = 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refit", action="store_true", help="rewrite the shipped coefficients")
    parser.add_argument("--reuse", action="store_true", help="keep the last run's synthesis")
    options = parser.parse_args()
    fitted = calibrate(last_run() if options.reuse else [], progress=show)
    model_s = [time_model(point) for point in fitted.measurements]
    result = summary(fitted, model_s)
    for key, value in result.items():
        if key != "points":
            print(f"{key}: {value}")
    if options.refit:
        rewrite(fitted.coefficients)
    print(write_result("hwmodel_synthesis", n=len(model_s), result=result))


def last_run() -> list[Measurement]:
    """Return the measurements of the last result."""
    report = json.loads((RESULTS / "hwmodel_synthesis.json").read_text())
    return [
        Measurement(
            design=get_design(row["design"]),
            family=row["family"],
            held_out=row["held_out"],
            measured=Resources(**row["yosys"]),
            wall_s=row["wall_s"],
        )
        for row in report["result"]["points"]
    ]


def show(point: Measurement) -> None:
    modelled, tool = point.design.resources(), point.measured
    held = "held out" if point.held_out else ""
    print(f"{point.design.name:48s} {modelled} | {tool} | {point.wall_s:.1f} s {held}", flush=True)


def time_model(point: Measurement) -> float:
    """Return the seconds of one estimate."""
    start = time.perf_counter()
    for _ in range(100):
        point.design.resources()
    return (time.perf_counter() - start) / 100


def summary(fitted: Calibration, model_s: list[float]) -> dict:
    points = fitted.measurements
    errors = {point.design.spec: fitted.lut_error(point) for point in points}
    ratios = [p.wall_s / own for p, own in zip(points, model_s, strict=True)]
    return {
        "points held out": sum(point.held_out for point in points),
        "FF, BRAM or DSP not exact": [p.design.spec for p in fitted.storage_errors()],
        "LUT mean absolute error, fitted points": fitted.mean_error(held_out=False),
        "LUT mean absolute error, held out": fitted.mean_error(held_out=True),
        "LUT worst error": max(errors.values(), key=abs),
        "outliers": {spec: e for spec, e in errors.items() if abs(e) > OUTLIER},
        "synthesis, total s": sum(point.wall_s for point in points),
        "model, median us": median(model_s) * 1e6,
        "model faster, least": min(ratios),
        "model faster, median": median(ratios),
        "coefficients": fitted.coefficients,
        "points": [row(fitted, point) for point in points],
    }


def row(fitted: Calibration, point: Measurement) -> dict:
    return {
        "design": point.design.spec,
        "family": point.family,
        "held_out": point.held_out,
        "model_lut": fitted.modelled_luts(point),
        "yosys": vars(point.measured),
        "wall_s": point.wall_s,
    }


def rewrite(coefficients: dict[str, float]) -> None:
    path = Path(str(resources.files("hwmodel.technologies") / "xc7-yosys.toml"))
    text = path.read_text()
    for name, value in coefficients.items():
        pattern = rf"(\[constants\.{name}\]\nvalue = )[\d.]+"
        text = re.sub(pattern, rf"\g<1>{value:.3f}", text)
    path.write_text(text)


if __name__ == "__main__":
    main()
