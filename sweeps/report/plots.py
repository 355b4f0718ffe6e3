"""The plots of a sweep, as matplotlib figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sweeps.config import OBJECTIVES
from sweeps.outcome import Outcome, Row

_BACKPROP, _ZEROTH_ORDER = "#1b6ca8", "#d1495b"
_INK, _GRID = "#333333", "#e6e6e6"


def pareto_figure(outcome: Outcome) -> Figure:
    """Accuracy against what it costs: cache, memory, time, and the generator's logic."""
    figure, axes = plt.subplots(1, 4, figsize=(16, 4.2), sharey=True, layout="constrained")
    panels: list[tuple[str, Callable[[Row], float]]] = [
        ("feature cache [KB]", lambda row: row.scores["cache_bytes"] / 1e3),
        ("training memory [KB]", lambda row: row.scores["train_memory_bytes"] / 1e3),
        ("training time [s]", lambda row: row.scores["train_wall_s"]),
        ("generator [LUT]", lambda row: row.scores["lut"]),
    ]
    for axis, (title, cost) in zip(axes, panels, strict=True):
        _scatter(axis, outcome.rows, cost)
        _front_line(axis, outcome.rows, cost)
        axis.set_xlabel(title)
    _log_x(axes[1])
    axes[3].set_xscale("symlog", linthresh=10)
    axes[3].set_xlim(-1, 2 * max(10, *(row.scores["lut"] for row in outcome.rows)))
    axes[0].set_ylabel("accuracy")
    _legend(axes[0])
    return figure


def directions_figure(outcome: Outcome) -> Figure:
    """Accuracy of the zeroth-order trials against their distinct directions."""
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    rows = [row for row in outcome.rows if row.config.train.method == "zo"]
    limited = [row for row in rows if row.scores["distinct_directions"] is not None]
    for cut in sorted({row.config.cut for row in rows}):
        at_cut = [row for row in limited if row.config.cut == cut]
        at_cut.sort(key=lambda row: row.scores["distinct_directions"])
        (line,) = axis.plot(
            [row.scores["distinct_directions"] for row in at_cut],
            [row.scores["accuracy"] for row in at_cut],
            "o-",
            label=f"cut {cut}",
        )
        for row in rows:
            if row.config.cut == cut and row.scores["distinct_directions"] is None:
                axis.axhline(row.scores["accuracy"], color=line.get_color(), ls=":", lw=1)
    if limited:
        _log_x(axis)
    _style(axis)
    axis.set_xlabel("distinct directions (dotted: Gaussian, unlimited)")
    axis.set_ylabel("accuracy")
    if rows:
        axis.legend(frameon=False)
    return figure


def energy_figure(outcome: Outcome) -> Figure:
    """Accuracy against the energy per perturbed weight, coloured by distinct directions."""
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    rows = [row for row in outcome.rows if row.config.train.method == "zo"]
    limited = [row for row in rows if row.scores["distinct_directions"] is not None]
    others = [row for row in rows if row.scores["distinct_directions"] is None]
    if limited:
        dots = axis.scatter(
            *_energy_and_accuracy(limited),
            c=[row.scores["distinct_directions"] for row in limited],
            norm="log",
            cmap="viridis",
            s=60,
        )
        figure.colorbar(dots, label="distinct directions")
    if others:
        axis.scatter(
            *_energy_and_accuracy(others), marker="D", c="none", edgecolors=_INK, label="Gaussian"
        )
        axis.legend(frameon=False)
    _log_x(axis)
    _style(axis)
    axis.set_xlabel("energy per perturbed weight [pJ]")
    axis.set_ylabel("accuracy")
    return figure


def parallel_figure(outcome: Outcome) -> Figure:
    """Every trial as a line over all objectives, up is better; the front in colour."""
    figure, axis = plt.subplots(figsize=(9.6, 4.2), layout="constrained")
    places = range(len(outcome.objectives))
    values = np.array([[row.scores[o] for o in outcome.objectives] for row in outcome.rows], float)
    signs = np.array([1.0 if OBJECTIVES[o] else -1.0 for o in outcome.objectives])
    better = values * signs
    low, high = better.min(axis=0), better.max(axis=0)
    scaled = (better - low) / np.where(high > low, high - low, 1.0)
    for row, heights in sorted(zip(outcome.rows, scaled, strict=True), key=lambda p: p[0].pareto):
        axis.plot(
            places,
            heights,
            color=_colour(row) if row.pareto else "#cccccc",
            lw=1.4 if row.pareto else 0.8,
            alpha=0.9,
        )
    axis.set_xticks(places, [o.replace("_", "\n") for o in outcome.objectives])
    axis.set_yticks([0, 1], ["worst", "best"])
    _style(axis)
    return figure


def _energy_and_accuracy(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    energies = [row.scores["energy_pj_per_weight"] for row in rows]
    return energies, [row.scores["accuracy"] for row in rows]


def _scatter(axis: Axes, rows: Sequence[Row], cost: Callable[[Row], float]) -> None:
    for row in rows:
        axis.scatter(
            cost(row),
            row.scores["accuracy"],
            s=46,
            marker="s" if row.config.cut == 0 else "o",
            facecolor=_colour(row) if row.pareto else "none",
            edgecolor=_colour(row),
            linewidth=1.2,
            alpha=0.85,
        )
    _style(axis)


def _front_line(axis: Axes, rows: Sequence[Row], cost: Callable[[Row], float]) -> None:
    """The stair of the best accuracy that a cost buys."""
    steps, best = [], -1.0
    for row in sorted(rows, key=lambda row: (cost(row), -row.scores["accuracy"])):
        if row.scores["accuracy"] > best:
            best = row.scores["accuracy"]
            steps.append((cost(row), best))
    axis.step(*zip(*steps, strict=True), where="post", color=_INK, lw=0.8, alpha=0.6, zorder=0)


def _legend(axis: Axes) -> None:
    keys = [
        ("backprop", {"color": _BACKPROP, "marker": "o"}),
        ("zeroth-order", {"color": _ZEROTH_ORDER, "marker": "o"}),
        ("unfrozen", {"color": _INK, "marker": "s", "markerfacecolor": "none"}),
        ("not on the front", {"color": _INK, "marker": "o", "markerfacecolor": "none"}),
    ]
    for label, style in keys:
        axis.plot([], [], ls="", label=label, **style)  # type: ignore[arg-type]
    axis.legend(frameon=False, fontsize=9)


def _log_x(axis: Axes) -> None:
    """A logarithmic axis that reads well over half a decade as over five."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _style(axis: Axes) -> None:
    axis.grid(color=_GRID, lw=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _colour(row: Row) -> str:
    return _ZEROTH_ORDER if row.config.train.method == "zo" else _BACKPROP
