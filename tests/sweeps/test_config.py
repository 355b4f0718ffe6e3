from __future__ import annotations

from dataclasses import replace

import pytest

from sweeps.config import CacheConfig, TrainConfig, TrialConfig
from sweeps.typed import with_value


@pytest.mark.parametrize(
    ("path", "value", "law"),
    [
        ("cut", -1, "cut >= 0"),
        ("train.lr", 0.0, "lr > 0"),
        ("train.momentum", 1.0, "0 <= momentum < 1"),
        ("train.eps", -1e-3, "eps > 0"),
        ("train.steps", 0, "steps >= 1"),
        ("train.method", "sgd", "method must be one of"),
        ("cache.max_fraction", 1.5, "0 <= max_fraction <= 1"),
        ("cache.similarity_threshold", 2.0, "similarity_threshold <= 1.01"),
        ("cache.codec", "int9", "Did you mean 'int8"),
        ("train.source", "pol:size=31", "pool"),
        ("train.source", "pool:size=0", "size"),
        ("hardware.clock_mhz", 0.0, "clock_mhz > 0"),
    ],
)
def test_a_value_outside_its_range_is_refused_with_the_law(path, value, law):
    with pytest.raises(ValueError, match=law):
        with_value(TrialConfig(), path, value)


def test_trials_that_differ_only_in_what_does_not_act_are_one():
    backprop = TrialConfig(cut=2)
    assert backprop.id == with_value(backprop, "train.source", "pool:size=31").id
    assert backprop.id == with_value(backprop, "cache.similarity_threshold", 0.5).id
    assert TrialConfig().id == with_value(TrialConfig(), "cache.codec", "raw").id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cut", 3),
        ("seed", 1),
        ("cache.codec", "raw"),
        ("train.source", "pool:size=31"),
        ("hardware.lanes", 8),
        ("task.drift", True),
    ],
)
def test_what_acts_makes_another_trial(path, value):
    trial = TrialConfig(cut=2, train=TrainConfig(method="zo"))
    assert trial.id != with_value(trial, path, value).id


def test_the_threshold_acts_where_there_are_views():
    trial = TrialConfig(cut=2, cache=CacheConfig(views=("hflip",)))
    other = replace(trial, cache=replace(trial.cache, similarity_threshold=0.5))
    assert trial.id != other.id


def test_an_effective_trial_is_its_own_effective_trial():
    trial = TrialConfig(cut=1, train=TrainConfig(source="pool:size=31"))
    assert trial.effective() == trial.effective().effective()
