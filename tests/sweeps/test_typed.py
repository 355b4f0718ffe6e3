from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import TrialConfig
from sweeps.presets import PRESETS, get_preset
from sweeps.typed import flat, from_dict, paths, to_dict, with_value


@pytest.mark.parametrize("name", PRESETS)
def test_a_sweep_survives_the_way_through_plain_data(name):
    sweep = get_preset(name)
    assert from_dict(type(sweep), to_dict(sweep)) == sweep


@given(st.sampled_from(paths(TrialConfig)))
def test_every_path_can_be_read_and_set_to_itself(path):
    trial = TrialConfig()
    assert with_value(trial, path, flat(trial)[path]) == trial


def test_setting_one_path_changes_that_path_alone():
    before, after = flat(TrialConfig()), flat(with_value(TrialConfig(), "train.lr", 0.5))
    assert {path for path in before if before[path] != after[path]} == {"train.lr"}


@pytest.mark.parametrize(
    ("path", "near"),
    [("train.stps", "train.steps"), ("cach.codec", "cache.codec"), ("cutt", "cut")],
)
def test_an_unknown_path_names_the_nearest(path, near):
    with pytest.raises(ValueError, match=f"Did you mean '{near}'"):
        with_value(TrialConfig(), path, 1)


@pytest.mark.parametrize("path", ["train", "train.steps.more"])
def test_a_group_is_no_knob(path):
    with pytest.raises(ValueError, match="Unknown key"):
        with_value(TrialConfig(), path, 1)


@pytest.mark.parametrize(
    ("path", "value"), [("cut", 1.5), ("cut", "1"), ("task.drift", 1), ("train.source", 3)]
)
def test_a_value_of_another_type_is_refused(path, value):
    with pytest.raises(ValueError, match=f"{path} must be"):
        with_value(TrialConfig(), path, value)
