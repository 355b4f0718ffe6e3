"""``freezo hw verilog``, ``simulate``, ``synth`` and ``calibrate``: the models beside tools."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import hwmodel
from hwmodel.calibration import Calibration, Measurement
from hwmodel.calibration_points import POINTS
from hwmodel.checks import choose, require
from sweeps.cli.hw import print_fields, print_table


def verilog(options: argparse.Namespace) -> int:
    """Print a design as Verilog."""
    print(hwmodel.get_design(options.design).verilog(), end="")
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Run a design clock by clock and hold every bit against the golden stream.

    Returns:
        0 if every level agrees, 1 if one differs.
    """
    design, cycles = hwmodel.get_design(options.design), options.cycles
    trace = design.simulate(cycles)
    levels = {"cycle model": trace.codes}
    simulator = options.rtl or ("icarus" if options.vcd else None)
    if simulator:
        vcd = Path(options.vcd) if options.vcd else None
        levels[simulator] = hwmodel.simulate_verilog(design, cycles, simulator=simulator, vcd=vcd)
    golden = design.codes(0, cycles * design.numbers_per_cycle)
    equal = {name: np.array_equal(codes.reshape(-1), golden) for name, codes in levels.items()}
    row: dict[str, Any] = {
        "design": design.name,
        "cycles": cycles,
        "bits": cycles * design.numbers_per_cycle * design.word_bits,
        **{f"{name} = golden stream": same for name, same in equal.items()},
        "first_codes": golden[:8].tolist(),
        "activity_by_formula": vars(design.activity()),
        "activity_simulated": vars(trace.activity),
        "vcd": options.vcd,
    }
    if options.json:
        print(json.dumps(row, indent=1))
    else:
        print_fields(row | {"first_codes": ", ".join(map(str, row["first_codes"]))})
    return 0 if all(equal.values()) else 1


def synth(options: argparse.Namespace) -> int:
    """Synthesise a design and print the model beside the tool."""
    design = hwmodel.get_design(options.design)
    if options.liberty:
        return _synth_asic(design, options)
    model, tool = design.resources(), hwmodel.synthesize(design, family=options.family)
    if options.json:
        print(json.dumps({"design": design.spec, "model": vars(model), "tool": vars(tool)}))
        return 0
    rows = [
        [name, f"{ours:g}", f"{theirs:g}", _error(ours, theirs)]
        for name, ours, theirs in zip(
            vars(model), vars(model).values(), vars(tool).values(), strict=True
        )
    ]
    print_table([[design.name, "model", "Yosys", "error"], *rows])
    return 0


def _synth_asic(design: hwmodel.Design, options: argparse.Namespace) -> int:
    area = hwmodel.synthesize_asic(design, options.liberty)
    row = {"design": design.spec, **vars(area)}
    if options.json:
        print(json.dumps(row, indent=1))
    else:
        print_fields(row)
    return 0


def _error(model: float, tool: float) -> str:
    if tool:
        return f"{100 * (model / tool - 1):+.1f} %"
    return "exact" if model == tool else f"{model:+g}"


def calibrate(options: argparse.Namespace) -> int:
    """Synthesise the calibration points, refit the coefficients and print the errors."""
    fitted = hwmodel.calibrate(points=_chosen_points(options), progress=_progress)
    result = {
        "coefficients": fitted.coefficients,
        "flip_flops_bram_dsp_not_exact": [p.design.spec for p in fitted.storage_errors()],
        "mean_error_fitted": fitted.mean_error(held_out=False),
        "mean_error_held_out": fitted.mean_error(held_out=True),
        "worst_error": max(map(fitted.lut_error, fitted.measurements), key=abs),
        "synthesis_s": sum(point.wall_s for point in fitted.measurements),
    }
    if options.json:
        result["points"] = [_point(fitted, point) for point in fitted.measurements]
        print(json.dumps(result, indent=1))
        return 0
    head = ["design", "held out", "model LUT", "Yosys LUT", "error", "FF, BRAM, DSP"]
    print_table([head, *(_row(fitted, point) for point in fitted.measurements)])
    print()
    print_fields(result)
    return 0


def _chosen_points(options: argparse.Namespace) -> dict[str, list[str]]:
    families = [choose(name, POINTS, what="family") for name in options.family or POINTS]
    count = options.points
    require(
        count is None or count >= 1,
        law="--points >= 1",
        got=f"--points {count}",
        fix="leave it out for all points",
    )
    return {family: POINTS[family][:count] for family in families}


def _progress(point: Measurement) -> None:
    print(f"{point.design.name}: {point.wall_s:.1f} s", file=sys.stderr, flush=True)


def _point(fitted: Calibration, point: Measurement) -> dict[str, Any]:
    return {
        "design": point.design.spec,
        "family": point.family,
        "held_out": point.held_out,
        "model_lut": fitted.modelled_luts(point),
        "tool": vars(point.measured),
        "error": fitted.lut_error(point),
    }


def _row(fitted: Calibration, point: Measurement) -> list[str]:
    return [
        point.design.name,
        "yes" if point.held_out else "",
        str(fitted.modelled_luts(point)),
        str(point.measured.lut),
        f"{100 * fitted.lut_error(point):+.1f} %",
        "differ" if point in fitted.storage_errors() else "exact",
    ]
