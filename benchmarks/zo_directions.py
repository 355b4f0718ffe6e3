"""Whether pools and banks lie on one curve of accuracy against distinct directions.

Reads the studies ``curve`` and ``curve_fixed`` of ``zo_accuracy.py``, draws the first as
``docs/zo_directions.svg`` and holds the banks against the pools, seed by seed: a bank's residual
is its score less the line, in the logarithm of the directions, between the two pools on either
side of it. What a line between pools misses by itself is seen from the pools: each inner one is
held against its neighbours likewise.

    python benchmarks/zo_directions.py
"""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import fashion
import matplotlib as mpl
import numpy as np
from reporting import RESULTS

mpl.use("svg")
from matplotlib import pyplot as plt

PICTURE = Path(__file__).parents[1] / "docs" / "zo_directions.svg"
TITLES = {"digits": "drifted digits", "fashion": "drifted Fashion-MNIST"}
MARKS = {"pool": ("o", "#1f6fb4", "pool"), "lfsr_bank": ("^", "#d1601f", "LFSR bank")}
Points = dict[str, dict[str, Any]]


OPEN = 1e-3  # below this rate a mark is left open
MANY = 100


def kind(name: str) -> str:
    return name.split(":")[0]


def points(study: Points, which: str) -> list[dict[str, Any]]:
    """The rows of one kind of source, by distinct directions."""
    rows = [{"name": name, **row} for name, row in study.items() if kind(name) == which]
    return sorted(rows, key=directions)


def directions(row: dict[str, Any]) -> float:
    return float(row["distinct_directions"])


def residuals(row: dict[str, Any], pools: list[dict[str, Any]]) -> list[float]:
    """By how much a row lies over the line through the pools, for each seed."""
    places = [math.log(directions(pool)) for pool in pools]
    return [
        score - float(np.interp(math.log(directions(row)), places, heights))
        for score, heights in zip(
            row["scores"], zip(*(pool["scores"] for pool in pools), strict=True), strict=True
        )
    ]


def compare(study: Points) -> dict[str, Any]:
    """Every residual with its interval, and how large those of the banks are together.

    ``noise_rms`` is what their seeds would make of residuals that are truly 0.
    """
    pools, banks = points(study, "pool"), points(study, "lfsr_bank")
    gaps = {row["name"]: residuals(row, pools) for row in banks}
    groups = {
        title: [gaps[row["name"]] for row in banks if (directions(row) >= MANY) == many]
        for title, many in ((f"under {MANY}", False), (f"from {MANY} on", True))
    }
    for row in pools[1:-1]:
        gaps[row["name"]] = residuals(row, [pool for pool in pools if pool is not row])
    return {
        "residuals": {name: fashion.interval(values) for name, values in gaps.items()},
        "banks": {
            title: {
                "rms": rms([statistics.fmean(values) for values in members]),
                "noise_rms": rms([standard_error(values) for values in members]),
                "mean": statistics.fmean(statistics.fmean(values) for values in members),
            }
            for title, members in groups.items()
        },
    }


def standard_error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def rms(values: list[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


def draw(tasks: dict[str, Any]) -> None:
    shown = [name for name in TITLES if "curve" in tasks.get(name, {})]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(5.2 * len(shown), 3.8), squeeze=False, layout="constrained"
    )
    for axes, name in zip(panels[0], shown, strict=True):
        panel(axes, tasks[name])
        axes.set(title=TITLES[name], xlabel="distinct directions", ylabel="test accuracy, %")
    panels[0][0].legend(loc="lower right", frameon=False)
    mpl.rcParams["svg.hashsalt"] = "zo"  # the same picture makes the same file
    figure.savefig(PICTURE, metadata={"Date": None})


def panel(axes: Any, task: dict[str, Any]) -> None:
    for which, (mark, colour, label) in MARKS.items():
        rows = points(task["curve"], which)
        for row in rows:
            axes.errorbar(
                directions(row),
                row["mean"],
                yerr=row["stdev"],
                fmt=mark,
                ms=5,
                color=colour,
                markerfacecolor=colour if row["lr"] >= OPEN else "white",
                elinewidth=0.8,
            )
        axes.plot([], [], mark, ms=5, color=colour, label=f"{label} (open: chosen lr < 1e-3)")
    gaussian, before = task["sources"]["gaussian"], task["references"]["zero-shot"]["mean"]
    low, high = (gaussian["mean"] + sign * gaussian["stdev"] for sign in (-1, 1))
    axes.axhspan(low, high, color="0.85", label="Gaussian, one standard deviation")
    axes.axhline(before, color="0.5", linestyle=":", label="before adaptation")
    axes.set_xscale("log")


def tell(title: str, study: Points) -> None:
    found = compare(study)
    for group, gap in found["banks"].items():
        print(
            f"{title}, banks {group} directions: off the pools' line by {gap['rms']:.2f} rms"
            f" (seeds' noise {gap['noise_rms']:.2f}), mean {gap['mean']:+.2f}"
        )
    for row, gap in found["residuals"].items():
        size = directions(study[row])
        print(f"  {row:42} {size:7.0f} {gap['mean']:+5.2f} +- {gap['half_width']:.2f}")


def main() -> None:
    tasks = json.loads((RESULTS / "zo_accuracy.json").read_text())["tasks"]
    for name in TITLES:
        for study in ("curve", "curve_fixed"):
            if study in tasks.get(name, {}):
                tell(f"{name}, {study}", tasks[name][study])
    draw(tasks)
    print(f"wrote {PICTURE.relative_to(PICTURE.parents[1])}")


if __name__ == "__main__":
    main()
