"""One conformance suite over every policy, and what each of them promises besides."""

import io
import math
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from freezelib.policies import EpochStats, Guards, get_policy, policy_names

ADDRESSES = [
    "never",
    "manual:1=1,3=2,6=4",
    "linear",
    "linear:start=0.2,fraction=1",
    "alpha",
    "alpha:alpha=0.5,start=0",
    "budget:saving=0.1",
    "budget:saving=0.05,fraction=1,interval=2",
    "gradnorm",
    "gradnorm:percentile=80,checks=4",
    "plasticity",
    "plasticity:tolerance=0.3,window=2,checks=1",
    "weight_delta",
    "weight_delta:tolerance=0.5,checks=1",
]


@st.composite
def trainings(draw, *, min_cuts=1):
    """What a whole training would show a policy, epoch by epoch, whatever it freezes."""
    epochs = draw(st.integers(1, 25))
    weights = draw(st.lists(st.floats(0.05, 1), min_size=min_cuts + 1, max_size=9))
    total = sum(weights)
    shares = tuple(part / total for part in list(accumulate(weights))[:-1])
    size = len(weights)
    seen = st.lists(st.floats(0, 2), min_size=size, max_size=size).map(tuple)
    observed = draw(st.lists(st.none() | seen, min_size=epochs, max_size=epochs))
    has_cache = draw(st.booleans())
    return [
        EpochStats(
            epoch=epoch,
            epochs=epochs,
            k=0,
            prefix_mac_share=shares,
            has_cache=has_cache,
            gradient_norm=observed[epoch],
            weight_delta=observed[epoch],
            plasticity=observed[epoch],
        )
        for epoch in range(epochs)
    ]


def at(stats, k):
    return EpochStats(**{**vars(stats), "k": k})


def run(policy, training, *, guards=None, k=0):
    """The freeze point of each epoch, under guards or under none."""
    points = []
    for stats in training:
        try:
            k = policy.propose(at(stats, k))
        except ValueError:  # a budget out of reach
            reject()
        if guards is not None:
            k = guards.apply(k, at(stats, points[-1] if points else 0), build_s=0, saved_s=1).k
        points.append(k)
    return points


FEWER = settings(max_examples=25)


@pytest.mark.parametrize("address", ADDRESSES)
class TestEveryPolicy:
    @FEWER
    @given(training=trainings())
    def test_freezes_ever_deeper_and_never_beyond_the_last_cut(self, address, training):
        points = run(get_policy(address), training)
        assert points == sorted(points)
        assert all(0 <= k <= training[0].num_cuts for k in points)
        assert all(isinstance(k, int) for k in points)

    @FEWER
    @given(training=trainings(), fraction=st.floats(0, 1))
    def test_stays_within_the_guards(self, address, training, fraction):
        guards = Guards(max_fraction=fraction, warmup=0.2, min_gain=2)
        points = run(get_policy(address), training, guards=guards)
        assert points == sorted(points)
        assert max(points) <= math.ceil(fraction * training[0].num_cuts)
        for stats, (before, after) in zip(training, pairwise([0, *points]), strict=True):
            if after > before:
                assert stats.epoch >= 0.2 * stats.epochs
                assert stats.epochs - stats.epoch > 2

    @FEWER
    @given(training=trainings(), data=st.data())
    def test_goes_on_after_a_resume_as_if_nothing_had_happened(self, address, training, data):
        whole = run(get_policy(address), training)
        stop = data.draw(st.integers(0, len(training)))
        first = get_policy(address)
        points = run(first, training[:stop])
        second = get_policy(address)
        second.load_state_dict(first.state_dict())
        run(first, training[stop:], k=whole[-1])  # the state was a copy, not a window
        k = points[-1] if points else 0
        assert points + run(second, training[stop:], k=k) == whole

    @FEWER
    @given(training=trainings())
    def test_its_state_survives_a_checkpoint(self, address, training):
        policy = get_policy(address)
        run(policy, training)
        checkpoint = io.BytesIO()
        torch.save(policy.state_dict(), checkpoint)
        checkpoint.seek(0)
        assert torch.load(checkpoint, weights_only=True) == policy.state_dict()

    @FEWER
    @given(training=trainings())
    def test_does_nothing_that_it_was_not_told_to_measure_for(self, address, training):
        blind = [
            EpochStats(**{**vars(s), **dict.fromkeys(MEASURED - get_policy(address).needs)})
            for s in training
        ]
        assert run(get_policy(address), blind) == run(get_policy(address), training)


MEASURED = {"gradient_norm", "weight_delta", "plasticity"}


def constant(epochs, **observed):
    """A training of a model with 4 equal blocks before a head, that always looks the same."""
    shares = (0.2, 0.4, 0.6, 0.8)
    return [
        EpochStats(epoch=e, epochs=epochs, k=0, prefix_mac_share=shares, **observed)
        for e in range(epochs)
    ]


def test_every_policy_is_in_the_suite():
    assert {address.partition(":")[0] for address in ADDRESSES} == set(policy_names())


def test_never_freezes_nothing_and_manual_does_as_it_is_told():
    assert run(get_policy("never"), constant(4)) == [0, 0, 0, 0]
    assert run(get_policy("manual:1=2,3=4"), constant(5)) == [0, 2, 2, 4, 4]


def test_linear_reaches_its_fraction_at_the_end():
    points = run(get_policy("linear:start=0.5,fraction=1"), constant(80))
    assert points[:41] == [0] * 41
    assert [points[50], points[60], points[70], points[79]] == [1, 2, 3, 3]


def test_alpha_freezes_a_share_of_what_is_left():
    shares = tuple(i / 13 for i in range(1, 13))  # 12 layers, as PipeTransformer's ViT
    training = [EpochStats(epoch=e, epochs=5, k=0, prefix_mac_share=shares) for e in range(5)]
    points = run(get_policy("alpha:alpha=0.3333333333,start=0"), training)
    assert points == [0, 4, 7, 9, 10]  # 12 (1 - (2/3)^t) = 0, 4, 6.67, 8.44, 9.63


@given(
    training=trainings(min_cuts=2),
    saving=st.floats(0.01, 0.6),
    interval=st.integers(0, 3),
)
def test_budget_meets_its_target_within_an_epoch(training, saving, interval):
    policy = get_policy(f"budget:saving={saving},fraction=1,interval={interval}")
    shares = (0.0, *training[0].prefix_mac_share)
    gain, target = 1 if training[0].has_cache else 2 / 3, saving * len(training)

    def saved(points):
        return sum(gain * shares[k] for k in points)

    earliest = [min(1 + e // max(interval, 1), len(shares) - 1) for e in range(len(training))]
    assume(abs(saved(earliest) - target) > 1e-9)
    if saved(earliest) < target:
        with pytest.raises(ValueError, match="raise fraction"):
            policy.propose(training[0])
    else:
        points = run(policy, training)
        assert target - 1e-9 <= saved(points) <= target + gain * shares[-1] + 1e-9


def test_budget_freezes_deeper_or_earlier_when_nothing_is_cached():
    cached, online = constant(40), constant(40, has_cache=False)
    with_cache = run(get_policy("budget:saving=0.2"), cached)
    without = run(get_policy("budget:saving=0.2"), online)
    assert sum(k > 0 for k in without) > sum(k > 0 for k in with_cache)


def test_budget_freezes_together_what_the_guards_held():
    policy, guards = get_policy("budget:saving=0.4"), Guards(warmup=0.5)
    points = run(policy, constant(20), guards=guards)
    assert points[9] == 0
    assert points[10] == 3


def test_budget_refuses_a_target_out_of_reach():
    with pytest.raises(ValueError, match=r"save 70% .* saves 57\.0%"):
        get_policy("budget:saving=0.7").propose(constant(20)[0])


def observed(epochs, name, rows):
    return [EpochStats(**{**vars(s), name: rows(s.epoch)}) for s in constant(epochs)]


def test_gradnorm_freezes_what_changes_least():
    def rows(epoch):  # blocks 0 and 1 are steady, the others shrink
        return (3.0, 2.0, 0.5**epoch, 0.6**epoch, 0.7**epoch)

    points = run(get_policy("gradnorm:percentile=50"), observed(4, "gradient_norm", rows))
    assert points[:2] == [0, 2]


def test_gradnorm_compares_whole_intervals():
    def rows(epoch):  # noise within an interval that sums to the same
        return (1.0 + epoch % 2, 1.0, 1.0 + epoch, 1.0 + epoch, 1.0 + epoch)

    points = run(get_policy("gradnorm:checks=2"), observed(4, "gradient_norm", rows))
    assert points == [0, 0, 0, 2]


def test_plasticity_freezes_what_has_come_to_rest():
    def rows(epoch):
        return (0.5 if epoch > 2 else 1 - epoch / 6, 1 - epoch / 15, 0.1, 0.1, 0.1)

    points = run(get_policy("plasticity"), observed(12, "plasticity", rows))
    assert points == [0] * 6 + [1] * 6  # flat over 3..5 and over 4..6
    resting = run(get_policy("plasticity"), observed(12, "plasticity", lambda e: (0.1,) * 5))
    assert resting == [0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4]


def test_weight_delta_freezes_what_hardly_moves_for_some_epochs():
    def rows(epoch):
        return (0.2 / (1 + epoch), 0.01, 0.3, 0.01, 0.01)

    points = run(get_policy("weight_delta"), observed(8, "weight_delta", rows))
    assert points == [0, 0, 0, 0, 2, 2, 2, 2]  # 0.2 / 4 at epoch 3 is the first within 0.05


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("linaer", "Did you mean 'linear'"),
        ("linear:begin=0.5", "start"),
        ("linear:start=2", "0 <= start <= 1"),
        ("linear:start=x", "is a number"),
        ("alpha:alpha=-1", "0 <= alpha <= 1"),
        ("budget:saving=1", "saving < 1"),
        ("budget:interval=1.5", "whole number"),
        ("gradnorm:percentile=101", "percentile <= 100"),
        ("plasticity:window=1", "window >= 2"),
        ("weight_delta:tolerance=0", "tolerance > 0"),
        ("manual", "EPOCH=CUT"),
        ("manual:3=4,6=4", "deeper cuts"),
        ("manual:3=4,6=2", "deeper cuts"),
        ("manual:soon=4", "EPOCH=CUT"),
        ("manual:3=4.5", "EPOCH=CUT"),
        ("manual:3=0", "deeper cuts"),
        ("never:k=1", "never"),
    ],
)
def test_a_bad_address_is_named(address, message):
    with pytest.raises(ValueError, match=message):
        get_policy(address)
