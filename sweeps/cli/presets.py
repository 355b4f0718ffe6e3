"""``freezo presets`` and ``freezo describe``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml

from sweeps.config import SweepConfig
from sweeps.overrides import apply_overrides
from sweeps.presets import PRESETS, description, get_preset
from sweeps.space import grid
from sweeps.typed import from_dict, to_dict


def presets(options: argparse.Namespace) -> int:
    """List the presets."""
    texts = {name: description(name) for name in PRESETS}
    if options.json:
        print(json.dumps(texts, indent=1))
    else:
        for name, text in texts.items():
            print(f"{name:12} {text}")
    return 0


def describe(options: argparse.Namespace) -> int:
    """Show what a preset (with its settings) would run."""
    sweep = configured(options)
    if options.yaml:
        print(yaml.safe_dump(to_dict(sweep), sort_keys=False), end="")
        return 0
    trials = list(grid(sweep))
    if options.json:
        listed = [{"id": trial.id, "label": trial.label} for trial in trials]
        print(json.dumps({"config": to_dict(sweep), "trials": listed}, indent=1))
        return 0
    print(sweep.description)
    print(f"\nEvery trial starts from:\n{yaml.safe_dump(to_dict(sweep.base), sort_keys=False)}")
    count = f"{sweep.num_trials} of " if sweep.num_trials else ""
    print(f"Search: {sweep.search}, {count}{len(trials)} points")
    for trial in trials if sweep.search == "grid" else []:
        print(f"  {trial.id}  {trial.label}")
    return 0


def configured(options: argparse.Namespace) -> SweepConfig:
    """The sweep that ``PRESET``, ``--config`` and ``--set`` name."""
    if options.config:
        sweep = from_dict(SweepConfig, _read_yaml(Path(options.config)))
    else:
        sweep = get_preset(options.preset)
    return apply_overrides(sweep, options.set)


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(
            f"--config must name a YAML file, but {path} is none ({error})."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping; `freezo describe --yaml` writes one.")
    return content
