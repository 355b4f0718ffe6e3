"""The Pareto set of a sweep and its hypervolume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.config import OBJECTIVES

Points = NDArray[np.float64]


def costs(scores: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> Points:
    """Scores as costs ``[trials, objectives]``: what is to be maximised changes its sign."""
    signs = [-1.0 if OBJECTIVES[o] else 1.0 for o in objectives]
    rows = [[s * float(row[o]) for s, o in zip(signs, objectives, strict=True)] for row in scores]
    return np.array(rows, dtype=float).reshape(len(rows), len(objectives))


def pareto_mask(points: Points) -> NDArray[np.bool_]:
    """Which points no other point dominates (at most equal everywhere, less somewhere).

    Args:
        points: Costs, ``[n, objectives]``. Equal points are all kept.
    """
    at_most = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    less = (points[:, None, :] < points[None, :, :]).any(axis=2)
    return np.logical_not(np.any(at_most & less, axis=0))


def normalised_hypervolume(points: Points) -> float:
    """Share of the box between the best and the worst seen that the points dominate.

    Each objective is scaled to [0, 1] over the points and the reference point is the worst corner,
    so the figure compares sets of one sweep, not of two. An objective that is the same for all
    points has nothing to say and is left out.
    """
    if len(points) == 0:
        return 0.0
    low, high = points.min(axis=0), points.max(axis=0)
    varies = high > low
    if not varies.any():
        return 0.0
    scaled = (points[:, varies] - low[varies]) / (high[varies] - low[varies])
    return hypervolume(scaled, np.ones(scaled.shape[1]))


def hypervolume(points: Points, reference: Points) -> float:
    """Volume that is dominated by some point and dominates the reference point.

    Exact, by the exclusive volumes of the points one after the other (WFG; While, Bradstreet and
    Barone 2012). Exponential in the objectives at worst; made for fronts of some dozen points.

    Args:
        points: Costs, ``[n, objectives]``.
        reference: ``[objectives]``; points that do not dominate it count for nothing.
    """
    inside = np.unique(points[(points < reference).all(axis=1)], axis=0)
    front = inside[pareto_mask(inside)] if len(inside) else inside
    return _volume(front[np.argsort(-front[:, 0])] if len(front) else front, reference)


def _volume(front: Points, reference: Points) -> float:
    total = 0.0
    for index, point in enumerate(front):
        others = np.maximum(front[index + 1 :], point)  # what the later points share with this one
        if len(others):
            others = np.unique(others, axis=0)
            others = others[pareto_mask(others)]
        total += float(np.prod(reference - point)) - _volume(others, reference)
    return total
