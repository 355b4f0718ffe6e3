from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from sweeps.config import CacheConfig, TrialConfig
from sweeps.ledger import Ledger
from sweeps.outcome import sweep_outcome
from sweeps.space import grid
from sweeps.trial import run_trial


@pytest.fixture
def ledger(storage, sweep):
    return Ledger.create(storage, "a", sweep)


@pytest.fixture
def scores(storage, sweep):
    return run_trial(next(grid(sweep)), storage)


def _enter(ledger, scores, trial, **changed):
    ledger.finish(trial, {**scores, **changed})


def test_trials_that_differ_in_their_seed_alone_are_one_group(ledger, storage, scores):
    accuracies = [0.5, 0.6, 0.8]
    for seed, accuracy in enumerate(accuracies):
        _enter(ledger, scores, TrialConfig(seed=seed), accuracy=accuracy)
    (group,) = sweep_outcome(ledger, storage).seed_groups
    assert group.mean == pytest.approx(statistics.fmean(accuracies))
    assert group.spread == pytest.approx(statistics.stdev(accuracies))


def test_trials_that_look_alike_and_are_not_are_no_group(ledger, storage, scores):
    trial = TrialConfig(cut=1, cache=CacheConfig(views=("hflip",)))
    other = replace(trial, cache=replace(trial.cache, max_fraction=0.5))
    assert trial.label == other.label
    for config in (trial, other):
        _enter(ledger, scores, config)
    assert sweep_outcome(ledger, storage).seed_groups == []


def test_the_front_is_marked_and_rows_are_best_first(ledger, storage, scores):
    _enter(ledger, scores, TrialConfig(seed=0), accuracy=0.9, cache_bytes=10)
    _enter(ledger, scores, TrialConfig(seed=1), accuracy=0.8, cache_bytes=20)
    _enter(ledger, scores, TrialConfig(seed=2), accuracy=0.7, cache_bytes=5)
    outcome = sweep_outcome(ledger, storage)
    assert [row.scores["accuracy"] for row in outcome.rows] == [0.9, 0.8, 0.7]
    assert [row.pareto for row in outcome.rows] == [True, False, True]


def test_a_sweep_without_results_has_an_outcome(ledger, storage):
    outcome = sweep_outcome(ledger, storage)
    assert outcome.rows == ()
    assert outcome.hypervolume == 0.0
