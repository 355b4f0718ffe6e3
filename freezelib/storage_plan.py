"""What a storage planner found: every candidate, and the one to take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freezelib.cache import CacheRecipe


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to cache, and what it was found to cost.

    Attributes:
        recipe: How to build it.
        cache_bytes: Of the whole cache.
        map_error: Mean distance between the map that training would read and the exact one that it
            stands for, over the mean norm of the exact ones.
        errors: The same for canonical maps, and for each part of the augmentation by itself.
        build_s: Seconds to build the whole cache.
        break_even_epochs: Epochs after which the build has paid, against running the prefix at
            each step; infinite if reading is no faster than that.
    """

    recipe: CacheRecipe
    cache_bytes: int
    map_error: float
    errors: Mapping[str, float]
    build_s: float
    break_even_epochs: float

    @property
    def stored(self) -> str:
        """What of each sample is stored, in a few words."""
        return describe(self.recipe)


@dataclass(frozen=True, kw_only=True)
class StoragePlan:
    """What to cache within a budget.

    Attributes:
        budget_bytes: The budget.
        num_samples: Of the data set.
        chosen: The candidate to take.
        candidates: All that were held against each other, by rising bytes.
        refused: What was not, and why.
    """

    budget_bytes: int
    num_samples: int
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    refused: Mapping[str, str]

    @property
    def recipe(self) -> CacheRecipe:
        """How to build the chosen cache."""
        return self.chosen.recipe

    @property
    def front(self) -> tuple[Candidate, ...]:
        """The candidates that no other of their size or less comes up to, by rising bytes."""
        front: list[Candidate] = []
        for candidate in self.candidates:
            if not front or candidate.map_error < front[-1].map_error:
                front.append(candidate)
        return tuple(front)

    def __str__(self) -> str:
        """The front as a table, and the estimate for the chosen one."""
        head = ("", "codec", "stored", "MB", "map error", "build s", "pays after")
        rows = [head, *(self._row(candidate) for candidate in self.front)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        numeric = [False, False, False, True, True, True, True]
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in rows
        ]
        lines.append(
            f"{self.num_samples:,} samples in {self.chosen.cache_bytes / 1e6:.1f} of "
            f"{self.budget_bytes / 1e6:.1f} MB. > is chosen, x is too large; "
            f"{len(self.candidates) - len(self.front)} more are no better for their size."
        )
        return "\n".join(lines)

    def _row(self, candidate: Candidate) -> tuple[str, ...]:
        fits = candidate.cache_bytes <= self.budget_bytes
        epochs = candidate.break_even_epochs
        return (
            ">" if candidate is self.chosen else "" if fits else "x",
            candidate.recipe.codec,
            candidate.stored,
            f"{candidate.cache_bytes / 1e6:.1f}",
            f"{candidate.map_error:.3f}",
            f"{candidate.build_s:.1f}",
            f"{epochs:.1f} epochs" if math.isfinite(epochs) else "never",
        )


def describe(recipe: CacheRecipe) -> str:
    """What a recipe stores of each sample, in a few words."""
    if recipe.stored_views > 1:
        return f"{recipe.stored_views} views"
    if not recipe.views:
        return "1 view"
    if recipe.scorer == "all":
        return "every channel twice" if len(recipe.views) == 1 else "every channel in each view"
    corrected = ", corrected" if recipe.correct else ""
    share = 0 if recipe.scorer == "none" else recipe.max_fraction
    ranked = f" by {recipe.scorer}" if share else ""
    return f"{share:.1%} of channels again{ranked}{corrected}"
