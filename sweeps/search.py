"""Which trial comes next: a grid, random points, or Optuna's multi-objective sampler.

A searcher is asked for trials and told their scores. It has no storage of its own: after a resume
it is told what the ledger holds, and goes on from there. The same searcher serves both executors.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sweeps.config import OBJECTIVES, Arm, SweepConfig, TrialConfig
from sweeps.space import grid, make_trial
from sweeps.typed import flat

Scores = Mapping[str, Any]

_TRIES = 64  # points drawn in search of one that has not been run yet


class Searcher(Protocol):
    """Proposes trials."""

    def ask(self) -> TrialConfig | None:
        """The next trial, or None when there is no more."""
        ...

    def tell(self, trial: TrialConfig, scores: Scores | None) -> None:
        """The scores of a trial that was asked for; None if it failed."""
        ...


def make_searcher(
    sweep: SweepConfig, finished: Iterable[tuple[TrialConfig, Scores]] = ()
) -> Searcher:
    """The searcher of a sweep, which knows what is finished already."""
    done = list(finished)
    if sweep.search == "grid":
        return GridSearch(sweep, done)
    return (RandomSearch if sweep.search == "random" else OptunaSearch)(sweep, done)


class GridSearch:
    """Every point of every arm."""

    def __init__(self, sweep: SweepConfig, done: list[tuple[TrialConfig, Scores]]) -> None:
        finished = {trial.id for trial, _ in done}
        self._left = (trial for trial in grid(sweep) if trial.id not in finished)

    def ask(self) -> TrialConfig | None:
        """See :class:`Searcher`."""
        return next(self._left, None)

    def tell(self, trial: TrialConfig, scores: Scores | None) -> None:
        """Nothing to learn: the grid is what it is."""


class RandomSearch:
    """Points drawn evenly from the arms and their axes, none twice."""

    def __init__(self, sweep: SweepConfig, done: list[tuple[TrialConfig, Scores]]) -> None:
        assert sweep.num_trials is not None
        self._sweep, self._left = sweep, sweep.num_trials - len(done)
        self._asked = {trial.id for trial, _ in done}
        self._random = random.Random(sweep.seed)

    def ask(self) -> TrialConfig | None:
        """See :class:`Searcher`; None also when the space holds nothing new."""
        for _ in range(_TRIES if self._left > 0 else 0):
            arm = self._random.choice(list(self._sweep.arms.values()))
            point = {path: self._random.choice(choices) for path, choices in arm.axes.items()}
            trial = make_trial(self._sweep, arm, point)
            if trial.id not in self._asked:
                self._asked.add(trial.id)
                self._left -= 1
                return trial
        return None

    def tell(self, trial: TrialConfig, scores: Scores | None) -> None:
        """Nothing to learn."""


class OptunaSearch:
    """Optuna's TPE over all objectives at once; arms are a conditional space."""

    def __init__(self, sweep: SweepConfig, done: list[tuple[TrialConfig, Scores]]) -> None:
        import optuna

        assert sweep.num_trials is not None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._sweep = optuna, sweep
        self._left = sweep.num_trials - len(done)
        self._study = optuna.create_study(
            directions=["maximize" if OBJECTIVES[o] else "minimize" for o in sweep.objectives],
            sampler=optuna.samplers.TPESampler(seed=sweep.seed + len(done)),
        )
        self._asked = {trial.id for trial, _ in done}
        self._open: dict[str, Any] = {}
        for trial, scores in done:
            self._remember(trial, scores)

    def ask(self) -> TrialConfig | None:
        """See :class:`Searcher`; None also when the space seems to hold nothing new."""
        for _ in range(_TRIES if self._left > 0 else 0):
            suggestion = self._study.ask()
            trial = self._draw(suggestion)
            if trial.id not in self._asked:
                self._asked.add(trial.id)
                self._left -= 1
                self._open[trial.id] = suggestion
                return trial
            self._study.tell(suggestion, state=self._optuna.trial.TrialState.FAIL)
        return None

    def tell(self, trial: TrialConfig, scores: Scores | None) -> None:
        """See :class:`Searcher`."""
        suggestion = self._open.pop(trial.id)
        if scores is None:
            self._study.tell(suggestion, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(suggestion, self._values(scores))

    def _values(self, scores: Scores) -> list[float]:
        return [float(scores[objective]) for objective in self._sweep.objectives]

    def _draw(self, suggestion: Any) -> TrialConfig:
        name = suggestion.suggest_categorical("arm", sorted(self._sweep.arms))
        arm = self._sweep.arms[name]
        point = {
            path: choices[suggestion.suggest_categorical(f"{name}/{path}", range(len(choices)))]
            for path, choices in arm.axes.items()
        }
        return make_trial(self._sweep, arm, point)

    def _remember(self, trial: TrialConfig, scores: Scores) -> None:
        """Enter a finished trial where its knobs still say which point it was."""
        for name, arm in self._sweep.arms.items():
            if (point := _point_of(self._sweep, arm, trial)) is None:
                continue
            categorical = self._optuna.distributions.CategoricalDistribution
            spaces = {"arm": categorical(sorted(self._sweep.arms))}
            for path, choices in arm.axes.items():
                spaces[f"{name}/{path}"] = categorical(range(len(choices)))
            indices = {f"{name}/{path}": index for path, index in point.items()}
            self._study.add_trial(
                self._optuna.trial.create_trial(
                    params={"arm": name, **indices},
                    distributions=spaces,
                    values=self._values(scores),
                )
            )
            return


def _point_of(sweep: SweepConfig, arm: Arm, trial: TrialConfig) -> dict[str, int] | None:
    knobs = flat(trial)
    if any(knobs[path] not in choices for path, choices in arm.axes.items()):
        return None
    point = {path: knobs[path] for path in arm.axes}
    if make_trial(sweep, arm, point).id != trial.id:
        return None
    return {path: choices.index(knobs[path]) for path, choices in arm.axes.items()}
