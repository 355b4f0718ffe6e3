"""One way to choose a learning rate and to score an arm, the same for every arm.

The rate is the best of a grid by mean validation accuracy over tuning seeds that are not reported.
Where the best is at an edge of the grid, the grid grows on that side, unless training diverged
there. The test part is only looked at by the seeds that are reported.
"""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import fashion
from zo_tasks import accuracy, adapt, make_optimizer, make_task

RATES = (2.5e-4, 5e-4, 1e-3, 2e-3)
STEP, EXTRA = 2.0, 6
Settings = dict[str, Any]


@dataclass
class Bench:
    """Arms on one task.

    Attributes:
        task: Name of the task.
        steps: Steps per run.
        tuning_seeds: By which rates are chosen.
        rates: Rates that were chosen, with what they were chosen from, by settings.
        scores: Test accuracies and divergences that were measured, by settings and seed.
    """

    task: str
    steps: int
    tuning_seeds: tuple[int, ...]
    rates: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def tuned(self, settings: Settings) -> dict[str, Any]:
        """The rate of an arm: ``lr``, and the validation accuracy of every rate of the ``grid``."""
        key = repr(sorted(settings.items()))
        if key not in self.rates:
            self.rates[key] = self._tune(settings)
        return self.rates[key]

    def _tune(self, settings: Settings) -> dict[str, Any]:
        grid = {lr: self._validate({**settings, "lr": lr}) for lr in RATES}
        for _ in range(EXTRA):
            best = max(grid, key=lambda lr: grid[lr][0])
            if best == max(grid):
                following = best * STEP
            elif best == min(grid):
                following = best / STEP
            else:
                break
            grid[following] = self._validate({**settings, "lr": following})
        return {
            "lr": max(grid, key=lambda lr: grid[lr][0]),
            "grid": {f"{lr:.3g}": grid[lr][0] for lr in sorted(grid)},
            "diverged": [f"{lr:.3g}" for lr in sorted(grid) if grid[lr][1]],
        }

    def _validate(self, settings: Settings) -> tuple[float, bool]:
        runs = []
        for seed in self.tuning_seeds:
            task = make_task(self.task, seed, self.steps)
            done = adapt(task, settings)
            runs.append((accuracy(done.model, task.validation), done.diverged))
        return statistics.fmean(score for score, _ in runs), any(broke for _, broke in runs)

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
            "diverged": sum(broke for _, broke in runs),
            "settings": settings,
            "lr": fixed["lr"],
            "lr_equiv": optimizer.lr_equiv,
            "eps_equiv": optimizer.eps_equiv,
            "distinct_directions": str(optimizer.distinct_directions),
            "tuning": tuning,
            "wall_s": time.perf_counter() - began,
        }

    def _test(self, settings: Settings, seed: int) -> tuple[float, bool]:
        key = repr((sorted(settings.items()), seed))
        if key not in self.scores:
            task = make_task(self.task, seed, self.steps)
            done = adapt(task, settings)
            self.scores[key] = accuracy(done.model, task.test), done.diverged
        return self.scores[key]
