from __future__ import annotations

import pytest

from sweeps.overrides import apply_overrides
from sweeps.presets import quickstart, search
from sweeps.space import grid


def test_a_pinned_knob_is_no_longer_swept():
    sweep = apply_overrides(quickstart(), ["cut=2"])
    assert {trial.cut for trial in grid(sweep)} == {2}


def test_a_list_sweeps_a_knob_in_every_arm():
    sweep = apply_overrides(quickstart(), ["seed=[0, 1, 2]"])
    assert len(list(grid(sweep))) == 3 * len(list(grid(quickstart())))


def test_a_list_leaves_alone_the_arm_that_fixes_the_knob():
    sweep = apply_overrides(quickstart(), ["train.steps=[10, 20]"])
    steps = {t.train.steps for t in grid(sweep) if t.train.method == "zo"}
    assert steps == {t.train.steps for t in grid(quickstart()) if t.train.method == "zo"}


def test_a_list_is_a_value_where_the_knob_takes_many():
    sweep = apply_overrides(quickstart(), ["cache.views=[hflip, vflip]"])
    assert {t.cache.views for t in grid(sweep)} == {("hflip", "vflip")}


def test_a_setting_of_the_sweep_is_set():
    assert apply_overrides(search(), ["num_trials=7"]).num_trials == 7


@pytest.mark.parametrize("setting", ["cut", "no.such=1", "cut=1.5", "cut=[1, x]", "num_trial=3"])
def test_a_bad_setting_is_refused(setting):
    with pytest.raises(ValueError):
        apply_overrides(quickstart(), [setting])
