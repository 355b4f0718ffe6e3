from __future__ import annotations

import json
from dataclasses import replace

import pytest

from freezelib.cache import CacheStore
from sweeps.config import FreezeConfig, TrainConfig
from sweeps.space import grid
from sweeps.trial import run_trial
from sweeps.typed import with_value

WALL_TIMES = {"build_wall_s", "train_wall_s", "step_wall_ms"}


def _exact(scores):
    return {key: value for key, value in scores.items() if key not in WALL_TIMES}


@pytest.fixture
def trial(sweep):
    return replace(sweep.base, cut=3).effective()


def test_the_same_trial_comes_to_the_same_scores(trial, storage, tmp_path):
    other = type(storage).at(tmp_path / "other")
    assert _exact(run_trial(trial, storage)) == _exact(run_trial(trial, other))


def test_every_trial_of_a_sweep_has_every_objective(sweep, storage):
    for trial in grid(sweep):
        scores = run_trial(trial, storage)
        assert all(scores[objective] >= 0 for objective in sweep.objectives)
        json.dumps(scores, allow_nan=False)


def test_trials_that_share_a_key_share_a_build(sweep, storage):
    keys = {run_trial(trial, storage)["cache_key"] for trial in grid(sweep)} - {""}
    builds = [build.key for build in CacheStore(storage.caches).builds()]
    assert sorted(builds) == sorted(keys)


def test_training_learns(trial, storage):
    losses = []
    run_trial(trial, storage, report=lambda step, metrics: losses.append(metrics["train_loss"]))
    assert losses[-1] < losses[0]


def test_the_generator_that_is_priced_is_the_one_that_trained(trial, storage):
    scores = {
        source: run_trial(
            replace(trial, train=TrainConfig(method="zo", lr=1e-3, steps=5, source=source)),
            storage,
        )
        for source in ("gaussian", "pool:size=509", "lfsr_bank:num_rngs=7,bits=8")
    }
    assert scores["pool:size=509"]["distinct_directions"] == 509
    assert scores["gaussian"]["distinct_directions"] is None
    assert scores["gaussian"]["lut"] > scores["lfsr_bank:num_rngs=7,bits=8"]["lut"] > 0
    assert scores["pool:size=509"]["bram"] > 0


def test_a_trial_says_what_its_step_would_be_under_exact_scaling(trial, storage):
    config = TrainConfig(method="zo", lr=1e-3, eps=1e-2, steps=5, source="pool:size=509")
    scores = [
        run_trial(replace(trial, train=replace(config, scaling=scaling, scope=scope)), storage)
        for scaling in ("exact", "none")
        for scope in ("global", "per_tensor")
    ]
    for exact in scores[:2]:
        assert (exact["lr_equiv"], exact["eps_equiv"]) == pytest.approx((1e-3, 1e-2))
    for bare in scores[2:]:
        assert bare["lr_equiv"] == pytest.approx(1e-3 / 3, rel=0.05)
        assert bare["eps_equiv"] == pytest.approx(1e-2 / 3**0.5, rel=0.05)
    assert run_trial(trial, storage)["lr_equiv"] is None


def test_zeroth_order_training_needs_less_memory_than_backprop(trial, storage):
    backprop = run_trial(trial, storage)["train_memory_bytes"]
    zeroth_order = replace(trial, train=TrainConfig(method="zo", lr=1e-3, steps=5))
    assert run_trial(zeroth_order, storage)["train_memory_bytes"] < backprop / 2


def test_a_deeper_cut_leaves_fewer_weights_and_a_smaller_share(sweep, storage):
    scores = [run_trial(replace(sweep.base, cut=cut), storage) for cut in (0, 2, 4)]
    assert sorted((s["num_weights"] for s in scores), reverse=True) == [
        s["num_weights"] for s in scores
    ]
    assert [s["prefix_mac_share"] for s in scores] == sorted(s["prefix_mac_share"] for s in scores)


def test_a_damaged_cache_is_mended_on_the_way(trial, storage):
    before = run_trial(trial, storage)
    chunk = next(storage.caches.rglob("chunk-00001.arrow"))
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.unlink()
    chunk.write_bytes(data)
    assert _exact(run_trial(trial, storage)) == _exact(before)


def test_a_cut_that_the_model_does_not_have_is_refused(trial, storage):
    with pytest.raises(ValueError, match="0 <= cut <= 4 must hold"):
        run_trial(replace(trial, cut=9), storage)


def test_a_diverging_trial_says_so(trial, storage):
    wild = with_value(with_value(trial, "train.method", "zo"), "train.lr", 1e6)
    with pytest.raises(Exception, match="finite"):
        run_trial(wild, storage)


# Trials that freeze on the way.


@pytest.fixture
def by_policy(sweep):
    """From scratch, frozen at the second cut after the first half."""
    return replace(
        sweep.base,
        trunk=replace(sweep.base.trunk, steps=0),
        train=TrainConfig(steps=40),
        freeze=FreezeConfig(policy="manual:2=2", break_even=0, schedule="int8+lz4, int4@0.5"),
    ).effective()


def test_a_trial_freezes_as_its_policy_says(by_policy, storage):
    scores = run_trial(by_policy, storage)
    assert scores["freeze_points"] == "0 0 2 2 2"
    assert scores["codecs"] in ("int4", "int8+lz4")  # as the suffix bears it
    assert [b.key for b in CacheStore(storage.caches).builds()] == [scores["cache_key"]]
    assert scores["cache_bytes"] > 0
    assert scores["build_wall_s"] > 0
    json.dumps(scores, allow_nan=False)


def test_a_policy_that_never_freezes_is_plain_training(by_policy, storage):
    never = replace(by_policy, freeze=FreezeConfig(policy="never"))
    scores = run_trial(never, storage)
    assert scores["cache_bytes"] == 0
    assert set(scores["freeze_points"].split()) == {"0"}


@pytest.mark.parametrize(
    "change", [{"cut": 2}, {"train": TrainConfig(method="zo")}], ids=["cut", "zeroth-order"]
)
def test_what_cannot_go_with_a_policy_is_refused(by_policy, change):
    with pytest.raises(ValueError, match="policy"):
        replace(by_policy, **change)


def test_stored_views_and_correctors_are_knobs_of_a_trial(trial, storage):
    plain = run_trial(trial, storage)
    stored = replace(trial, cache=replace(trial.cache, stored_views=3, shift_pixels=4))
    corrected = replace(trial, cache=replace(trial.cache, correct=True, scorer="error_energy"))
    assert run_trial(stored, storage)["cache_bytes"] > 2 * plain["cache_bytes"]
    assert run_trial(corrected, storage)["cache_key"] != plain["cache_key"]
