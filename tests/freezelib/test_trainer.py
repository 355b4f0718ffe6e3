import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from frozen_ranks import train
from frozen_training import EPOCHS, config, trainer, weights
from torch import nn

from freezelib.augment import Augmentation
from freezelib.cache import CacheRecipe, CacheStore
from freezelib.policies import Guards
from freezelib.trainer import FreezeTrainer

FREE = Guards(warmup=0, max_fraction=1, break_even=0)


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_each_freeze_event_changes_what_is_trained_and_what_is_read(tmp_path):
    moved = []
    training = trainer(tmp_path)
    before = weights(training)

    def watch(row):
        nonlocal before
        after = weights(training)
        moved.append({name for name in before if not torch.equal(before[name], after[name])})
        before = after

    rows = training.fit(watch)
    assert [row["k"] for row in rows] == [0, 1, 1, 2, 2]
    assert [row["cache_bytes"] > 0 for row in rows] == [False, True, True, True, True]
    assert [row["build_wall_s"] > 0 for row in rows] == [False, True, False, True, False]
    assert all("frozen at cut" in row["reason"] for row in (rows[1], rows[3]))
    assert "conv1.weight" in moved[0]
    assert not any(name.startswith(("conv1", "bn1")) for name in moved[1] | moved[2])
    assert not any(name.startswith("stage1") for name in moved[3] | moved[4])
    for names in moved:
        assert {"stage2.0.conv1.weight", "head.weight"} <= names
    assert len(list(CacheStore(tmp_path / "caches").builds())) == 2


def test_frozen_parameters_leave_the_optimizer_and_its_state(tmp_path):
    training = trainer(tmp_path)
    training.fit()
    names = training.optimizer.names
    assert not any(name.startswith(("conv1", "bn1", "stage1")) for name in names)
    assert set(training.optimizer.state_dict()) == set(names)
    frozen = dict(training.model.named_parameters())["conv1.weight"]
    assert frozen.grad is None
    assert not frozen.requires_grad


def two_view(folder, *, cached, **changes):
    """Flips on a whole-view cache of exact maps, or on the images."""
    training = trainer(
        folder,
        checkpoint=False,
        epochs=4,
        policy="manual:1=2",
        cached=cached,
        augmentation=Augmentation(views=("hflip",)),
        schedule="raw",
        recipe=CacheRecipe(scorer="all", chunk_samples=16),
        **changes,
    )
    rows = training.fit()
    assert [row["k"] for row in rows] == [0, 2, 2, 2]
    return weights(training), [row["loss"] for row in rows]


def test_three_epochs_on_a_two_view_cache_are_online_frozen_training_bit_for_bit(tmp_path):
    offline, cached_losses = two_view(tmp_path / "a", cached=True)
    online, losses = two_view(tmp_path / "b", cached=False)
    assert cached_losses == losses
    assert same(offline, online)
    other, _ = two_view(tmp_path / "c", cached=True, seed=1)
    assert not same(offline, other)


def test_without_a_store_frozen_layers_run_at_each_step(tmp_path):
    rows = trainer(tmp_path, stored=False).fit()
    assert [row["k"] for row in rows] == [0, 1, 1, 2, 2]
    assert {row["cache_bytes"] for row in rows} == {0}


def test_without_room_for_a_cache_training_goes_on_online(tmp_path):
    def fit(store):
        training = FreezeTrainer(
            (template := trainer(tmp_path / "t", stored=False, checkpoint=False)).model,
            template.data,
            config(),
            store=store,
        )
        return training.fit(), weights(training)

    rows, cramped = fit(CacheStore(tmp_path / "caches", max_bytes=100))
    assert {row["cache_bytes"] for row in rows} == {0}
    assert "no room for a cache" in rows[1]["reason"]
    _, online = fit(None)
    assert same(cramped, online)


def test_the_last_epochs_may_train_everything_again(tmp_path):
    guards = Guards(warmup=0, max_fraction=1, min_gain=0, break_even=0, unfreeze_last=1)
    training = trainer(tmp_path, guards=guards)
    before = {}

    def watch(row):
        if row["epoch"] == EPOCHS - 2:
            before.update(weights(training))

    rows = training.fit(watch)
    assert [row["k"] for row in rows] == [0, 1, 1, 2, 0]
    after = weights(training)
    assert not torch.equal(before["conv1.weight"], after["conv1.weight"])
    assert not torch.equal(before["bn1.running_mean"], after["bn1.running_mean"])


def test_a_deeper_cache_can_be_made_of_the_one_before(tmp_path):
    plain = {"augmentation": Augmentation(), "schedule": "raw"}
    training = trainer(tmp_path / "a", recache="cache", **plain)
    training.fit()
    assert training.phase.cache.recipe.advanced_from
    from_images = trainer(tmp_path / "b", **plain)
    from_images.fit()
    for name, ours in weights(training).items():
        torch.testing.assert_close(ours, weights(from_images)[name], rtol=1e-3, atol=1e-4)


def test_stored_views_serve_an_augmentation_that_maps_cannot_follow(tmp_path):
    odd = Augmentation(views=("rotate:degrees=10",), shift_pixels=1)
    rows = trainer(
        tmp_path, augmentation=odd, recipe=CacheRecipe(stored_views=3, chunk_samples=16)
    ).fit()
    assert rows[-1]["cache_bytes"] > 2 * 64 * 8 * 6 * 6
    with pytest.raises(ValueError, match="must reach the next cell"):
        trainer(tmp_path / "b", augmentation=odd, policy="manual:1=3").fit()


@pytest.mark.parametrize(
    "changes",
    [{"amp": True}, {"compile": "eager"}, {"augmentation": Augmentation(mixup=0.4, noise=0.1)}],
    ids=["amp", "compile", "feature space"],
)
def test_it_trains_under(tmp_path, changes):
    rows = trainer(tmp_path, lr=0.02, **changes).fit()
    assert [row["k"] for row in rows] == [0, 1, 1, 2, 2]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    with pytest.raises(FloatingPointError, match="lower lr"):
        trainer(tmp_path, lr=1e30).fit()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"policy": "sometimes"}, "policy"),
        ({"schedule": "int9"}, "codec"),
        ({"recache": "disk"}, "recache"),
        ({"epochs": 0}, "epochs"),
        ({"lr": 0}, "lr"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        config(**change)


def test_a_model_without_a_cut_is_refused(tmp_path):
    data = trainer(tmp_path, stored=False, checkpoint=False).data
    whole = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5))
    with pytest.raises(ValueError, match="cut"):
        FreezeTrainer(whole, data, config())


# Resume.


def run(folder, *place):
    folder.mkdir(exist_ok=True)
    script = Path(__file__).with_name("frozen_training.py")
    return subprocess.run(
        [sys.executable, str(script), str(folder), *place], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder).returncode == 0
    return torch.load(folder / "weights.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["build", "commit", "epoch", "checkpoint"])
def test_a_killed_training_goes_on_to_the_same_weights(uninterrupted, tmp_path, place):
    assert run(tmp_path, place).returncode == -signal.SIGKILL
    assert not (tmp_path / "weights.pt").exists()
    assert (tmp_path / "checkpoint.pt").exists()
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    resumed = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert same(resumed, uninterrupted)
    assert CacheStore(tmp_path / "caches").verify() == []


def test_a_cache_is_not_needed_to_resume(tmp_path):
    training = trainer(tmp_path)

    class Enough(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Enough

    with pytest.raises(Enough):
        training.fit(stop)
    del training
    assert len(CacheStore(tmp_path / "caches").collect(max_bytes=0)) == 1
    resumed = trainer(tmp_path)
    rows = resumed.fit()
    whole = trainer(tmp_path / "whole")
    whole.fit()
    assert [row["epoch"] for row in rows] == list(range(EPOCHS))
    assert same(weights(resumed), weights(whole))


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    found = spawn.Queue()
    ranks = [
        spawn.Process(target=train, args=(n, str(tmp_path), found), daemon=True) for n in (0, 1)
    ]
    for process in ranks:
        process.start()
    (_, first_k, first), (_, second_k, second) = sorted(
        (found.get(timeout=120) for _ in ranks), key=lambda answer: answer[0]
    )
    for process in ranks:
        process.join(30)
    assert first_k == second_k == [0, 1, 1, 2, 2]
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert len(CacheStore(tmp_path / "caches").builds()) == 2
