"""``freezo cache plan``: what to cache within a budget, before anything is built."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
from dataclasses import replace
from typing import Any

import torch
import yaml

from freezelib.planner import plan_storage
from freezelib.storage_plan import Candidate, StoragePlan
from sweeps.config import TrialConfig
from sweeps.recipes import augmentation, recipe_template
from sweeps.storage import Storage, data_root
from sweeps.tasks import load_task
from sweeps.trial import cut_model
from sweeps.trunk import get_trunk
from sweeps.typed import flat, with_value

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_PLANNED = ("codec", "scorer", "max_fraction", "correct", "stored_views")


def plan(options: argparse.Namespace) -> int:
    """Measure what could be cached, and say what to take."""
    torch.set_num_threads(1)
    budget_bytes = parse_bytes(options.budget)
    config = _trial(options)
    storage = Storage.at(options.storage)
    task = load_task(config.task, data_root())
    model = get_trunk(config.trunk, task.pretrain, folder=storage.trunks)
    halves = cut_model(model, config.cut, example_input=task.train.read(slice(0, 2)))
    assert halves.prefix is not None
    found = plan_storage(
        halves.prefix,
        task.train,
        budget_bytes=budget_bytes,
        augmentation=augmentation(config.cache),
        template=recipe_template(config.cache),
        suffix=halves.suffix,
    )
    settings = _settings(config, found)
    if options.json:
        print(json.dumps(_as_json(found, settings), indent=1))
    else:
        print(found)
        for what, why in found.refused.items():
            print(f"not {what}: {why}")
        print(" ".join(f"--set {shlex.quote(setting)}" for setting in settings))
    return 0


def parse_bytes(text: str) -> int:
    """A number of bytes, as ``100MB``, ``1.5GiB`` or ``500000``."""
    match = re.fullmatch(r"([\d_]*\.?\d+)\s*([kmg]?i?)b?", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"A size reads 100MB, 1.5GiB or 500000, but got {text!r}.")
    return int(float(match[1].replace("_", "")) * _UNITS[match[2]])


def _trial(options: argparse.Namespace) -> TrialConfig:
    """The trial whose cache is planned."""
    config = TrialConfig()
    given = {
        "task.name": options.task,
        "trunk.model": options.model,
        "cut": options.cut,
        "cache.views": options.views,
        "cache.shift_pixels": options.shift_pixels,
    }
    for path, value in given.items():
        if value is not None:
            config = with_value(config, path, value)
    for setting in options.set:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"A setting must read path=value, but got {setting!r}.")
        config = with_value(config, path, yaml.safe_load(text))
    if config.cut == 0:
        raise ValueError("A cache needs a freeze point, but got cut=0: give --cut K.")
    return config


def _settings(config: TrialConfig, found: StoragePlan) -> list[str]:
    """Every knob of the planned trial that is not at its default, as ``path=value``."""
    chosen = {name: getattr(found.recipe, name) for name in _PLANNED}
    planned = replace(config, cache=replace(config.cache, **chosen)).effective()
    usual = flat(TrialConfig())
    return [
        f"{path}={_yaml(value)}" for path, value in flat(planned).items() if value != usual[path]
    ]


def _yaml(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")


def _as_json(found: StoragePlan, settings: list[str]) -> dict[str, Any]:
    return {
        "budget_bytes": found.budget_bytes,
        "num_samples": found.num_samples,
        "chosen": _row(found.chosen),
        "candidates": [_row(candidate) for candidate in found.candidates],
        "refused": dict(found.refused),
        "settings": settings,
    }


def _row(candidate: Candidate) -> dict[str, Any]:
    pays = candidate.break_even_epochs
    return {
        **{name: getattr(candidate.recipe, name) for name in _PLANNED},
        "stored": candidate.stored,
        "cache_bytes": candidate.cache_bytes,
        "map_error": candidate.map_error,
        "errors": dict(candidate.errors),
        "build_s": candidate.build_s,
        "break_even_epochs": pays if math.isfinite(pays) else None,
    }
