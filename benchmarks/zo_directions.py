"""Whether pools and banks lie on one curve of accuracy against their directions.

Reads the studies ``curve`` and ``curve_fixed`` of ``zo_accuracy.py``. Directions are counted
twice: as distinct ones, and as what these are worth (``zo.effective_directions``), which is
measured here for every source and seed. Banks are held against pools, seed by seed: a bank's
residual is its score less the line, in the logarithm of the directions, between the two pools on
either side of it. Draws the tuned study as ``docs/zo_directions.svg``.

    python benchmarks/zo_directions.py
"""

import json
import math
import statistics
from functools import cache
from pathlib import Path
from typing import Any

import fashion
import matplotlib as mpl
import numpy as np
from harness import save
from reporting import RESULTS
from zo_tasks import WEIGHTS, seeded

import zo

mpl.use("svg")
from matplotlib import pyplot as plt

PICTURE = Path(__file__).parents[1] / "docs" / "zo_directions.svg"
TITLES = {"digits": "drifted digits", "fashion": "drifted Fashion-MNIST"}
MARKS = {"pool": ("o", "#1f6fb4", "pool"), "lfsr_bank": ("^", "#d1601f", "LFSR bank")}
COUNTS = {"distinct": "distinct directions", "worth": "directions that they are worth"}
MANY = 100  # directions, from which hardly anything is lost

Row = dict[str, Any]


def rows_of(task: str, study: dict[str, Row]) -> list[Row]:
    """The arms of a study with both counts of their directions, one per seed."""
    return [
        {
            **row,
            "name": name,
            "kind": name.split(":")[0],
            "distinct": [float(row["distinct_directions"])] * len(row["scores"]),
            "worth": [worth(task, name, seed) for seed in range(len(row["scores"]))],
        }
        for name, row in study.items()
    ]


@cache
def worth(task: str, address: str, seed: int) -> float:
    return zo.effective_directions(zo.get_source(seeded(address, seed)), WEIGHTS[task])


def residuals(bank: Row, pools: list[Row], count: str) -> list[float]:
    """By how much a bank lies over the line through the pools, for each seed."""
    gaps = []
    for seed, score in enumerate(bank["scores"]):
        line = sorted((math.log(pool[count][seed]), pool["scores"][seed]) for pool in pools)
        places, heights = zip(*line, strict=True)
        gaps.append(score - float(np.interp(math.log(bank[count][seed]), places, heights)))
    return gaps


def compare(rows: list[Row], count: str) -> dict[str, Any]:
    """The residuals of the banks, and how large they are together.

    ``noise_rms`` is what the seeds would make of residuals that are truly 0.
    """
    pools = [row for row in rows if row["kind"] == "pool"]
    banks = [row for row in rows if row["kind"] == "lfsr_bank"]
    gaps = {bank["name"]: residuals(bank, pools, count) for bank in banks}
    few = [gaps[bank["name"]] for bank in banks if statistics.fmean(bank[count]) < MANY]
    many = [gaps[bank["name"]] for bank in banks if statistics.fmean(bank[count]) >= MANY]
    return {
        "residuals": {name: fashion.interval(values) for name, values in gaps.items()},
        f"under {MANY}": together(few),
        f"from {MANY} on": together(many),
    }


def together(gaps: list[list[float]]) -> dict[str, float]:
    means = [statistics.fmean(values) for values in gaps]
    errors = [statistics.stdev(values) / math.sqrt(len(values)) for values in gaps]
    return {
        "banks": len(gaps),
        "rms": rms(means),
        "noise_rms": rms(errors),
        "mean": statistics.fmean(means),
    }


def rms(values: list[float]) -> float:
    return math.sqrt(statistics.fmean(value**2 for value in values))


def draw(tasks: dict[str, Any], curves: dict[str, list[Row]]) -> None:
    figure, panels = plt.subplots(
        len(curves), 2, figsize=(10.4, 3.6 * len(curves)), squeeze=False, layout="constrained"
    )
    for line, (name, rows) in zip(panels, curves.items(), strict=True):
        for axes, (count, label) in zip(line, COUNTS.items(), strict=True):
            panel(axes, rows, count)
            backdrop(axes, tasks[name])
            axes.set(title=TITLES[name], xlabel=label, ylabel="test accuracy, %", xscale="log")
    panels[0][0].legend(loc="lower right", frameon=False)
    mpl.rcParams["svg.hashsalt"] = "zo"  # the same picture makes the same file
    figure.savefig(PICTURE, metadata={"Date": None})


def panel(axes: Any, rows: list[Row], count: str) -> None:
    for kind, (mark, colour, label) in MARKS.items():
        mine = [row for row in rows if row["kind"] == kind]
        for row in mine:
            broke = bool(row["diverged"])
            axes.errorbar(
                statistics.fmean(row[count]),
                row["mean"],
                yerr=row["stdev"],
                fmt=mark,
                ms=5,
                color=colour,
                markerfacecolor="white" if broke else colour,
                elinewidth=0.8,
            )
        axes.plot([], [], mark, ms=5, color=colour, label=f"{label} (open: a seed diverged)")


def backdrop(axes: Any, task: dict[str, Any]) -> None:
    gaussian, before = task["sources"]["gaussian"], task["references"]["zero-shot"]["mean"]
    low, high = (gaussian["mean"] + sign * gaussian["stdev"] for sign in (-1, 1))
    axes.axhspan(low, high, color="0.85", label="Gaussian, one standard deviation")
    axes.axhline(before, color="0.5", linestyle=":", label="before adaptation")


def tell(title: str, rows: list[Row], found: dict[str, dict[str, Any]]) -> None:
    for count, label in COUNTS.items():
        for group in (f"under {MANY}", f"from {MANY} on"):
            gap = found[count][group]
            print(
                f"{title}, {gap['banks']} banks {group} {label}: off the pools' line by "
                f"{gap['rms']:.2f} rms (seeds' noise {gap['noise_rms']:.2f}), "
                f"mean {gap['mean']:+.2f}"
            )
    for row in sorted(rows, key=lambda row: statistics.fmean(row["worth"])):
        print(
            f"  {row['name']:42} {row['distinct'][0]:7.0f} worth "
            f"{statistics.fmean(row['worth']):8.1f}: {row['mean']:.1f} at lr {row['lr']:g}"
        )


def main() -> None:
    tasks = json.loads((RESULTS / "zo_accuracy.json").read_text())["tasks"]
    curves, result = {}, {}
    for name in TITLES:
        for study in ("curve", "curve_fixed"):
            rows = rows_of(name, tasks[name][study])
            found = {count: compare(rows, count) for count in COUNTS}
            tell(f"{name}, {study}", rows, found)
            result[f"{name}, {study}"] = found | {
                "arms": {row["name"]: {c: row[c] for c in COUNTS} for row in rows}
            }
            if study == "curve":
                curves[name] = rows
    save("zo_directions", {"many": MANY, "studies": result})
    draw(tasks, curves)
    print(f"wrote {PICTURE.relative_to(PICTURE.parents[1])}")


if __name__ == "__main__":
    main()
