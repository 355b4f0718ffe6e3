import pytest
from hypothesis import given
from hypothesis import strategies as st

from freezelib.policies import EpochStats, Guards


def stats(*, epoch=10, epochs=20, k=0, num_cuts=10):
    shares = tuple((i + 1) / (num_cuts + 1) for i in range(num_cuts))
    return EpochStats(epoch=epoch, epochs=epochs, k=k, prefix_mac_share=shares)


def decide(guards, target, *, build_s=0.0, saved_s=1.0, **state):
    return guards.apply(target, stats(**state), build_s=build_s, saved_s=saved_s)


guard_sets = st.builds(
    Guards,
    warmup=st.floats(0, 1),
    max_fraction=st.floats(0, 1),
    allowed=st.lists(st.integers(1, 10), unique=True).map(tuple),
    interval=st.integers(1, 4),
    min_gain=st.integers(0, 4),
    break_even=st.floats(0, 3),
    unfreeze_last=st.integers(0, 4),
)


@given(
    guards=guard_sets,
    target=st.integers(0, 10),
    epoch=st.integers(0, 20),
    k=st.integers(0, 10),
    build_s=st.floats(0, 10),
    saved_s=st.floats(0, 2),
)
def test_a_freeze_is_kept_deepened_or_ended_and_always_explained(
    guards, target, epoch, k, build_s, saved_s
):
    decision = decide(guards, target, epoch=epoch, k=k, build_s=build_s, saved_s=saved_s)
    if 20 - epoch <= guards.unfreeze_last > 0:
        assert decision.k == 0
    else:
        assert decision.k == k or k < decision.k <= target
        assert decision.k == k or not guards.allowed or decision.k in guards.allowed
        left = 20 - epoch - guards.unfreeze_last
        assert decision.k == k or left * saved_s > guards.break_even * build_s
    assert decision.reason or decision.k == k


def test_the_deepest_permitted_cut_is_taken():
    assert decide(Guards(), 10).k == 7  # two thirds of ten cuts, rounded up
    assert decide(Guards(allowed=(4, 7)), 6).k == 4
    held = decide(Guards(allowed=(4, 7)), 3)
    assert held.k == 0
    assert "may not be taken" in held.reason
    assert Guards(allowed=(4, 7)).permitted(10, stats(k=5)) == 7


def test_a_freeze_is_no_undoing():
    assert decide(Guards(allowed=(2,)), 9, k=3).k == 3
    assert decide(Guards(max_fraction=0.1), 9, k=3).k == 3


def test_nothing_freezes_in_the_warm_up_or_at_the_end():
    assert decide(Guards(warmup=0.5), 4, epoch=9).k == 0
    assert decide(Guards(warmup=0.5), 4, epoch=10).k == 4
    assert decide(Guards(min_gain=3), 4, epoch=17).k == 0
    assert decide(Guards(min_gain=3), 4, epoch=16).k == 4
    assert decide(Guards(min_gain=3, unfreeze_last=1), 4, epoch=16).k == 0


def test_freezing_happens_after_every_so_many_epochs():
    frozen = [decide(Guards(interval=4), 4, epoch=e).k for e in range(8, 13)]
    assert frozen == [4, 0, 0, 0, 4]


def test_a_build_must_pay_with_a_margin():
    guards = Guards(break_even=1.2)
    assert decide(guards, 4, epoch=10, build_s=5.0, saved_s=0.6).k == 0  # 6.0 > 6.0 does not hold
    assert decide(guards, 4, epoch=10, build_s=4.9, saved_s=0.6).k == 4
    assert decide(Guards(break_even=0), 4, build_s=1e9, saved_s=0.6).k == 4
    assert "pay" in decide(guards, 4, build_s=9.0, saved_s=0.6).reason


def test_the_last_epochs_train_everything_again():
    guards = Guards(unfreeze_last=2)
    assert decide(guards, 7, epoch=17, k=7).k == 7
    ended = decide(guards, 7, epoch=18, k=7)
    assert (ended.k, ended.reason) == (0, "the last 2 epochs train everything")


def test_nothing_thaws_by_itself_when_the_training_is_over():
    assert decide(Guards(), 7, epoch=20, k=7).k == 7


def test_epochs_to_come_count_only_while_frozen():
    guards = Guards(unfreeze_last=5)
    assert decide(guards, 4, epoch=10, build_s=4.0, saved_s=1.0).k == 4
    assert decide(guards, 4, epoch=10, build_s=4.2, saved_s=1.0).k == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"warmup": -0.1}, "0 <= warmup <= 1"),
        ({"max_fraction": 1.5}, "max_fraction <= 1"),
        ({"interval": 0}, "interval >= 1"),
        ({"unfreeze_last": -1}, "unfreeze_last"),
        ({"allowed": (0, 3)}, "count from 1"),
    ],
)
def test_guards_outside_their_ranges_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Guards(**wrong)
