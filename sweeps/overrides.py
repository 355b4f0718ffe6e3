"""``--set path=value``: pin a knob, or give an axis other choices."""

from __future__ import annotations

import typing
from dataclasses import fields, replace
from typing import Any

import yaml

from sweeps.config import Arm, SweepConfig, TrialConfig
from sweeps.typed import field_type, paths, unknown_key, with_value


def apply_overrides(sweep: SweepConfig, settings: list[str]) -> SweepConfig:
    """Apply ``path=value`` settings in order; values are read as YAML.

    A setting of the sweep (``num_trials=32``) replaces it. A setting of the trial
    (``train.steps=100``) pins the knob in every arm. A list for a knob that takes one value
    (``cut=[1, 2]``, ``seed=[0, 1, 2]``) becomes an axis of every arm that does not fix it.

    Raises:
        ValueError: A setting is not ``path=value``, or its path or value is not valid.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"A setting must read path=value, but got {setting!r}.")
        value = yaml.safe_load(text)
        if path in _sweep_paths():
            sweep = with_value(sweep, path, value)
        elif path in paths(TrialConfig):
            sweep = _set_knob(sweep, path, value)
        else:
            raise unknown_key(path, [*_sweep_paths(), *paths(TrialConfig)])
    return sweep


def _sweep_paths() -> list[str]:
    own = {"base", "arms", "description", "seed"}  # the trial's seed is the one that people mean
    return [f.name for f in fields(SweepConfig) if f.name not in own]


def _set_knob(sweep: SweepConfig, path: str, value: Any) -> SweepConfig:
    takes_many = typing.get_origin(field_type(TrialConfig, path)) is tuple
    if isinstance(value, list) and not takes_many:
        choices = tuple(_typed(path, choice) for choice in value)
        arms = {
            name: arm if path in arm.fixed else replace(arm, axes={**arm.axes, path: choices})
            for name, arm in sweep.arms.items()
        }
        return replace(sweep, arms=arms)
    arms = {
        name: Arm(
            fixed={p: v for p, v in arm.fixed.items() if p != path},
            axes={p: c for p, c in arm.axes.items() if p != path},
        )
        for name, arm in sweep.arms.items()
    }
    return replace(sweep, base=with_value(sweep.base, path, value), arms=arms)


def _typed(path: str, value: Any) -> Any:
    """The value as the config would hold it, or its error."""
    changed: Any = with_value(TrialConfig(), path, value)
    for name in path.split("."):
        changed = getattr(changed, name)
    return changed
