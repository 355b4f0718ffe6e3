"""``freezo hw score``, ``compare`` and ``catalog``: prices by formula, no tool needed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

import hwmodel


def score(options: argparse.Namespace) -> int:
    """Price a design."""
    design = hwmodel.get_design(options.design)
    resources = design.resources()
    power = design.power(options.technology, clock_mhz=options.clock_mhz)
    row: dict[str, Any] = {
        "design": design.name,
        "lut": resources.lut,
        "ff": resources.ff,
        "bram": resources.bram,
        "dsp": resources.dsp,
        "power_mw": power.power_mw,
        "energy_pj_per_number": power.energy_pj,
        "numbers_per_cycle": design.numbers_per_cycle,
        "latency_clocks": design.latency_clocks,
        "clock_mhz": power.clock_mhz,
        "technology": power.technology,
        "source": power.source,
        "accuracy": power.accuracy,
        "not_in_power": list(power.uncovered),
    }
    if options.weights is not None:
        row |= _training(design, options)
    if options.json:
        print(json.dumps(row, indent=1))
    else:
        print_fields(row)
    return 0


def _training(design: hwmodel.Design, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the source is worth, and costs, for so many weights."""
    found = hwmodel.score(
        design, options.technology, options.clock_mhz, num_weights=options.weights
    )
    return {
        "period": found.audit.period,
        "distinct_directions": found.audit.distinct_directions,
        "energy_pj_per_weight": found.energy_per_weight_pj,
        "energy_uj_per_step": found.energy_per_step_uj,
        "step_us": found.step_us,
    }


def compare(options: argparse.Namespace) -> int:
    """Show what the second design saves over the first, in both readings of a percentage."""
    first, second = (hwmodel.get_design(text) for text in (options.first, options.second))
    savings = hwmodel.compare(
        first, second, technology=options.technology, clock_mhz=options.clock_mhz
    )
    notes = _notes(first, second, options)
    if options.json:
        found = {
            "first": first.spec,
            "second": second.spec,
            "device": hwmodel.ZCU102.name,
            "savings": {name: vars(saving) for name, saving in savings.items()},
            "notes": notes,
        }
        print(json.dumps(found, indent=1))
        return 0
    print(f"first:  {first.name}\nsecond: {second.name}\n")
    points = f"points of a {hwmodel.ZCU102.name}"
    head = ["", "first", "second", "relative saving", points]
    print_table([head, *(_saving_row(name, saving) for name, saving in savings.items())])
    print("".join(f"\nNote: {note}." for note in notes), end="\n" if notes else "")
    return 0


def _saving_row(name: str, saving: hwmodel.Saving) -> list[str]:
    relative, points = saving.relative_percent, saving.device_points
    return [
        name,
        f"{saving.first:.6g}",
        f"{saving.second:.6g}",
        "-" if relative is None else f"{relative:.1f} %",
        "-" if points is None else f"{points:.2f}",
    ]


def _notes(
    first: hwmodel.Design, second: hwmodel.Design, options: argparse.Namespace
) -> list[str]:
    """Return what a reader of the comparison must know."""
    notes = []
    rates = [design.numbers_per_cycle for design in (first, second)]
    if rates[0] != rates[1]:
        notes.append(f"the designs make {rates[0]} and {rates[1]} numbers per clock")
    for design in (first, second):
        power = design.power(options.technology, clock_mhz=options.clock_mhz)
        if power.uncovered:
            missing = ", ".join(power.uncovered)
            notes.append(f"{power.technology} has no energy for the {missing} of {design.name}")
    return notes


def catalog(options: argparse.Namespace) -> int:
    """List the named design points."""
    rows = [
        {
            "name": name,
            "spec": entry.design.spec,
            "date": entry.date,
            "source": entry.source,
            **vars(entry.design.resources()),
        }
        for name, entry in hwmodel.CATALOG.items()
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    columns = ["name", "lut", "ff", "bram", "dsp", "date", "source"]
    print_table([columns, *([str(row[column]) for column in columns] for row in rows)])
    return 0


def print_fields(row: dict[str, Any]) -> None:
    """Print one name and value per line, values aligned."""
    width = max(map(len, row))
    for name, value in row.items():
        shown = ", ".join(value) or "-" if isinstance(value, list) else value
        print(f"{name:{width}}  {shown}")


def print_table(rows: Iterable[list[str]]) -> None:
    """Print rows of text with their columns aligned, numbers to the right."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [all(cell[:1] in "-+0123456789" for cell in c[1:]) for c in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if aligned else cell.ljust(width)
            for cell, width, aligned in zip(line, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())
