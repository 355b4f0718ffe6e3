"""What a sweep came to: its trials, which of them are on the front, and what was shared."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from freezelib.cache import CacheStore
from sweeps.config import TrialConfig
from sweeps.ledger import Ledger
from sweeps.pareto import costs, normalised_hypervolume, pareto_mask
from sweeps.storage import Storage
from sweeps.typed import to_dict


@dataclass(frozen=True, kw_only=True)
class Row:
    """A finished trial, and whether no other is at least as good in everything."""

    config: TrialConfig
    scores: dict[str, Any]
    pareto: bool


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """Trials that differ in their seed alone."""

    label: str
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the accuracy."""
        return statistics.stdev(self.accuracies)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A sweep's result.

    Attributes:
        name: The sweep's.
        objectives: Scores that span the front.
        rows: Finished trials, best accuracy first.
        failures: Reason of each failed trial, by id.
        hypervolume: Normalised, of the front.
        cache_keys: Distinct feature caches that trials used.
        cache_builds: Builds that these caches took; equal to the former where every build was
            shared.
    """

    name: str
    objectives: tuple[str, ...]
    rows: tuple[Row, ...]
    failures: dict[str, str]
    hypervolume: float
    cache_keys: int
    cache_builds: int

    @property
    def front(self) -> tuple[Row, ...]:
        """The Pareto set."""
        return tuple(row for row in self.rows if row.pareto)

    @property
    def seed_groups(self) -> list[SeedGroup]:
        """Trials that were run with several seeds."""
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            groups[replace(row.config, seed=0).id].append(row)
        return [
            SeedGroup(
                label=replace(rows[0].config, seed=0).label,
                accuracies=tuple(row.scores["accuracy"] for row in rows),
            )
            for rows in groups.values()
            if len(rows) > 1
        ]

    @property
    def summary(self) -> dict[str, float]:
        """The sweep in a few numbers."""
        return {
            "trials": len(self.rows),
            "failed_trials": len(self.failures),
            "pareto_trials": len(self.front),
            "hypervolume": self.hypervolume,
            "cache_keys": self.cache_keys,
            "cache_builds": self.cache_builds,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "name": self.name,
            "objectives": list(self.objectives),
            **self.summary,
            "trials": [
                {
                    "id": row.config.id,
                    "label": row.config.label,
                    "pareto": row.pareto,
                    "config": to_dict(row.config),
                    **row.scores,
                }
                for row in self.rows
            ],
            "failures": self.failures,
            "seeds": [
                {
                    "label": group.label,
                    "mean": group.mean,
                    "spread": group.spread,
                    "n": len(group.accuracies),
                }
                for group in self.seed_groups
            ],
        }


def sweep_outcome(ledger: Ledger, storage: Storage) -> Outcome:
    """Read a sweep's outcome from its ledger."""
    results = sorted(ledger.results, key=lambda result: -result.scores["accuracy"])
    scores = [result.scores for result in results]
    points = costs(scores, ledger.sweep.objectives)
    keys = {s["cache_key"] for s in scores} - {""}
    builds = CacheStore(storage.caches).builds()
    return Outcome(
        name=ledger.name,
        objectives=ledger.sweep.objectives,
        rows=tuple(
            Row(config=result.config, scores=result.scores, pareto=bool(on_front))
            for result, on_front in zip(results, pareto_mask(points), strict=True)
        ),
        failures=ledger.failures,
        hypervolume=normalised_hypervolume(points),
        cache_keys=len(keys),
        cache_builds=sum(build.key in keys for build in builds),
    )


def front_as_markdown(outcome: Outcome) -> str:
    """The Pareto set as a Markdown table."""
    heads = ["trial", "what", *FIGURES]
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for row in outcome.front:
        figures = [show(row.scores) for show in FIGURES.values()]
        lines.append(" | ".join([row.config.id, row.config.label, *figures]))
    return "\n".join(f"| {line} |" for line in lines)


def _directions(scores: dict[str, Any]) -> str:
    if scores["rng_design"] == "none":
        return "-"
    count = scores["distinct_directions"]
    return "unlimited" if count is None else f"{count:,}"


# What a person is shown of a trial, everywhere in the same words and digits.
FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "accuracy": lambda s: f"{s['accuracy']:.3f}",
    "cache KB": lambda s: f"{s['cache_bytes'] / 1e3:,.0f}",
    "build s": lambda s: f"{s['build_wall_s']:.2f}",
    "train s": lambda s: f"{s['train_wall_s']:.2f}",
    "memory KB": lambda s: f"{s['train_memory_bytes'] / 1e3:,.0f}",
    "LUT": lambda s: f"{s['lut']:,}",
    "FF": lambda s: f"{s['ff']:,}",
    "BRAM": lambda s: f"{s['bram']:g}",
    "mW": lambda s: f"{s['power_mw']:.2f}",
    "directions": _directions,
}
