"""One way to choose a learning rate and to score an arm, the same for every arm.

The rate is the best of a grid by the mean validation loss of seeds that are not reported; a rate
at which one of them diverges is out. Where the best is at an edge of the grid, the grid grows on
that side, until the edge is worse. The test part is only looked at by the seeds that are reported.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fashion
from zo_tasks import accuracy, adapt, loss, make_optimizer, make_task

RATES = (5e-4, 1e-3, 2e-3)
STEP, EXTRA = 2.0, 6
Settings = dict[str, Any]


def choose_rate(
    validate: Callable[[float], float],
    rates: tuple[float, ...] = RATES,
    ceiling: float = math.inf,
) -> dict[str, Any]:
    """The rate of the lowest loss: ``lr``, and the loss of every rate of the ``grid``.

    Args:
        validate: Returns the validation loss after training at a rate, or infinity if it
            diverged.
        rates: What the grid begins with.
        ceiling: The grid grows no higher.
    """
    grid = {lr: validate(lr) for lr in rates}
    for _ in range(EXTRA):
        best = min(grid, key=lambda lr: grid[lr])
        following = best * STEP if best == max(grid) else best / STEP
        if min(grid) < best < max(grid) or following > ceiling:
            break
        grid[following] = validate(following)
    return {
        "lr": min(grid, key=lambda lr: grid[lr]),
        "grid": {
            f"{lr:.3g}": grid[lr] if math.isfinite(grid[lr]) else None for lr in sorted(grid)
        },
    }


@dataclass
class Bench:
    """Arms on one task.

    Attributes:
        task: Name of the task.
        steps: Steps per run.
        tuning_seeds: By which rates are chosen.
        grid: Rates that a choice begins with.
        ceiling: The highest rate to choose.
        rates: Rates that were chosen, with what they were chosen from, by settings.
        scores: Test accuracies and divergences that were measured, by settings and seed.
    """

    task: str
    steps: int
    tuning_seeds: tuple[int, ...]
    grid: tuple[float, ...] = RATES
    ceiling: float = math.inf
    rates: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def tuned(self, settings: Settings) -> dict[str, Any]:
        """The rate of an arm; see ``choose_rate``."""
        key = as_key(settings)
        if key not in self.rates:
            self.rates[key] = choose_rate(
                lambda lr: self._validate({**settings, "lr": lr}), self.grid, self.ceiling
            )
        return self.rates[key]

    def _validate(self, settings: Settings) -> float:
        losses = []
        for seed in self.tuning_seeds:
            task = make_task(self.task, seed, self.steps)
            done = adapt(task, settings)
            if done.diverged:
                return math.inf
            losses.append(loss(done.model, task.validation))
        return statistics.fmean(losses)

    def reuse(self, rows: dict[str, dict[str, Any]], *, rates: bool) -> None:
        """Take the scores of earlier rows, and perhaps their rates, for known."""
        for row in rows.values():
            if row["tuning"] and rates:
                self.rates[as_key(row["settings"])] = row["tuning"]
            fixed = {"lr": row["lr"], **row["settings"]}
            for seed, score in enumerate(row["scores"]):
                self.scores[as_key(fixed, seed)] = score, seed in row["diverged"]

    def row(self, settings: Settings, seeds: int) -> dict[str, Any]:
        """The scores of an arm; its rate is chosen unless the settings name one."""
        began = time.perf_counter()
        tuning = {} if "lr" in settings else self.tuned(settings)
        fixed = {"lr": tuning.get("lr"), **settings}
        runs = [self._test(fixed, seed) for seed in range(seeds)]
        scores = [score for score, _ in runs]
        model = make_task(self.task, 0, self.steps).model
        optimizer = make_optimizer(model, fixed, seed=0)
        return {
            **fashion.interval(scores),
            "stdev": statistics.stdev(scores) if seeds > 1 else None,
            "scores": scores,
            "diverged": [seed for seed, (_, broke) in enumerate(runs) if broke],
            "settings": settings,
            "lr": fixed["lr"],
            "lr_equiv": optimizer.lr_equiv,
            "eps_equiv": optimizer.eps_equiv,
            "distinct_directions": str(optimizer.distinct_directions),
            "tuning": tuning,
            "wall_s": time.perf_counter() - began,
        }

    def _test(self, settings: Settings, seed: int) -> tuple[float, bool]:
        key = as_key(settings, seed)
        if key not in self.scores:
            task = make_task(self.task, seed, self.steps)
            done = adapt(task, settings)
            self.scores[key] = accuracy(done.model, task.test), done.diverged
        return self.scores[key]


def as_key(settings: Settings, *more: object) -> str:
    return repr((sorted(settings.items()), *more))
