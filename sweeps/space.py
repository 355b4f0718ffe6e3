"""The trials that a search space holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.config import Arm, SweepConfig, TrialConfig
from sweeps.typed import with_value


def make_trial(sweep: SweepConfig, arm: Arm, choices: Mapping[str, Any]) -> TrialConfig:
    """The trial at one point of an arm.

    Args:
        sweep: Its base config.
        arm: What the arm fixes.
        choices: One choice for each axis of the arm.
    """
    trial = sweep.base
    for path, value in {**arm.fixed, **choices}.items():
        trial = with_value(trial, path, value)
    return trial.effective()


def grid(sweep: SweepConfig) -> Iterator[TrialConfig]:
    """Every point of every arm, arms taking turns; each trial once, though arms may overlap."""
    seen = set()
    arms = [_points(sweep, arm) for arm in sweep.arms.values()]
    for turn in itertools.zip_longest(*arms):
        for trial in filter(None, turn):
            if trial.id not in seen:
                seen.add(trial.id)
                yield trial


def _points(sweep: SweepConfig, arm: Arm) -> Iterator[TrialConfig]:
    for choices in itertools.product(*arm.axes.values()):
        yield make_trial(sweep, arm, dict(zip(arm.axes, choices, strict=True)))
