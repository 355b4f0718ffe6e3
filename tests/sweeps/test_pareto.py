from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sweeps.pareto import costs, hypervolume, normalised_hypervolume, pareto_mask

SIDE = 5
GRID_POINTS = st.integers(2, 4).flatmap(
    lambda d: hnp.arrays(
        int, st.tuples(st.integers(1, 8), st.just(d)), elements=st.integers(0, SIDE)
    )
)


def _dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


@given(GRID_POINTS)
def test_the_front_is_what_nothing_dominates(points):
    expected = [not any(_dominates(q, p) for q in points) for p in points]
    assert pareto_mask(points.astype(float)).tolist() == expected


@given(GRID_POINTS)
def test_the_hypervolume_counts_the_unit_cells_that_are_dominated(points):
    cells = itertools.product(range(SIDE), repeat=points.shape[1])
    dominated = sum(
        any((point <= cell).all() for point in points) for cell in map(np.array, cells)
    )
    reference = np.full(points.shape[1], float(SIDE))
    assert hypervolume(points.astype(float), reference) == pytest.approx(dominated)


def test_the_hypervolume_agrees_with_optuna():
    from optuna._hypervolume import compute_hypervolume

    points = np.random.default_rng(0).random((40, 5))
    ours, theirs = hypervolume(points, np.ones(5)), compute_hypervolume(points, np.ones(5))
    assert ours == pytest.approx(theirs)


@given(GRID_POINTS, st.integers(2, 9))
def test_the_normalised_hypervolume_has_no_unit(points, scale):
    points = points.astype(float)
    assert normalised_hypervolume(points * scale + 3) == pytest.approx(
        normalised_hypervolume(points), abs=1e-9
    )


def test_what_is_maximised_changes_its_sign():
    rows = [{"accuracy": 0.9, "cache_bytes": 10}]
    assert costs(rows, ("accuracy", "cache_bytes")).tolist() == [[-0.9, 10.0]]


def test_no_trials_have_no_front():
    nothing = costs([], ("accuracy", "lut"))
    assert pareto_mask(nothing).tolist() == []
    assert normalised_hypervolume(nothing) == 0.0
