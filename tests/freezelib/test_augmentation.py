import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from freezelib.augment import Augmentation, Draws, assign_views, get_view, shift_maps

BOTH = ("hflip", "vflip")
seeds = st.integers(0, 2**40)
epochs = st.integers(-8, 1000)  # stored views are drawn in negative epochs
augmentations = st.builds(
    Augmentation,
    views=st.sampled_from([(), ("hflip",), BOTH, ("rotate:degrees=10", "hflip")]),
    view_probability=st.floats(0, 1),
    shift_pixels=st.integers(0, 5),
)


def drawn(augmentation, ids, *, seed=0, epoch=0, stored_views=1):
    return augmentation.draw(
        seed=seed, epoch=epoch, sample_ids=np.asarray(ids), stored_views=stored_views
    )


def columns(draws):
    return np.column_stack([draws.copies, draws.views, draws.shifts])


@settings(max_examples=50)
@given(
    augmentation=augmentations,
    seed=seeds,
    epoch=epochs,
    stored_views=st.integers(1, 4),
    order=st.permutations(range(30)),
    at=st.integers(0, 30),
)
def test_draws_depend_on_seed_epoch_and_sample_alone(
    augmentation, seed, epoch, stored_views, order, at
):
    def draw(ids):
        return drawn(augmentation, ids, seed=seed, epoch=epoch, stored_views=stored_views)

    ids, order = np.arange(500, 530), np.array(order)
    whole = draw(ids)
    parts = np.concatenate([columns(draw(ids[:at])), columns(draw(ids[at:]))])
    np.testing.assert_array_equal(columns(draw(ids[order])), columns(whole)[order])
    np.testing.assert_array_equal(columns(whole.take(order)), columns(whole)[order])
    np.testing.assert_array_equal(parts, columns(whole))
    assert columns(whole).dtype == np.int64
    assert np.abs(whole.shifts).max() <= augmentation.shift_pixels
    assert whole.views.max() <= len(augmentation.views)
    assert 0 <= whole.copies.min() <= whole.copies.max() < stored_views
    if stored_views > 1:  # what happens to the image is in the stored maps
        assert not whole.views.any()
        assert not whole.shifts.any()


@settings(max_examples=20)
@given(seed=seeds, epoch=epochs, probability=st.floats(0, 1))
def test_views_are_those_that_plain_views_always_were(seed, epoch, probability):
    """However shifts are drawn beside them: results of before must stay."""
    ids = np.arange(100)
    augmentation = Augmentation(views=BOTH, view_probability=probability, shift_pixels=3)
    expected = assign_views(
        seed=seed, epoch=epoch, sample_ids=ids, num_views=2, probability=probability
    )
    np.testing.assert_array_equal(drawn(augmentation, ids, seed=seed, epoch=epoch).views, expected)


def within_five_sigma(found, expected, count):
    return np.all(np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / count))


@pytest.mark.parametrize("reach", [1, 4])
def test_all_shifts_are_equally_likely_and_the_axes_independent(reach):
    count, sides = 40_000, 2 * reach + 1
    shifts = drawn(Augmentation(shift_pixels=reach), np.arange(count)).shifts + reach
    together = np.bincount(shifts[:, 0] * sides + shifts[:, 1], minlength=sides**2)
    assert within_five_sigma(together / count, 1 / sides**2, count)


@pytest.mark.parametrize("stored_views", [2, 3, 8])
def test_all_stored_views_are_equally_likely(stored_views):
    count = 40_000
    draws = drawn(Augmentation(views=BOTH), np.arange(count), stored_views=stored_views)
    share = np.bincount(draws.copies, minlength=stored_views) / count
    assert within_five_sigma(share, 1 / stored_views, count)


def test_views_and_shifts_are_independent_and_epochs_and_seeds_draw_anew():
    augmentation, ids = Augmentation(views=("hflip",), shift_pixels=2), np.arange(20_000)
    first = drawn(augmentation, ids)
    taken = first.shifts[first.views == 1]
    assert within_five_sigma((taken == 2).mean(0), 0.2, len(taken))
    for other in (drawn(augmentation, ids, epoch=1), drawn(augmentation, ids, seed=1)):
        assert within_five_sigma((first.shifts == other.shifts).mean(), 0.2, len(ids))
        assert within_five_sigma((first.views == other.views).mean(), 0.5, len(ids))


@settings(max_examples=30, deadline=None)
@given(augmentation=augmentations, seed=seeds, count=st.integers(1, 12))
def test_images_take_their_view_and_then_their_shift_each_alone(augmentation, seed, count):
    images = torch.randn(count, 2, 7, 7)
    before = images.clone()
    draws = drawn(augmentation, range(count), seed=seed)
    found = augmentation.apply_to_images(images, draws)
    for i in range(count):
        expected = images[i : i + 1]
        if number := draws.views[i]:
            expected = get_view(augmentation.views[number - 1]).apply(expected)
        expected = shift_maps(expected, draws.shifts[i : i + 1])
        torch.testing.assert_close(found[i : i + 1], expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(images, before)


def test_a_sample_that_takes_nothing_keeps_its_bits():
    images = torch.randn(6, 1, 5, 5)
    views = np.array([0, 1, 0, 1, 1, 0])
    draws = Draws(np.zeros(6, np.int64), views, np.zeros((6, 2), np.int64))
    found = Augmentation(views=("hflip",)).apply_to_images(images, draws)
    expected = torch.where(torch.tensor(views == 1).view(-1, 1, 1, 1), images.flip(-1), images)
    assert torch.equal(found, expected)


def test_bytes_are_augmented_like_numbers():
    images = torch.randint(0, 256, (20, 1, 6, 6), dtype=torch.uint8)
    augmentation = Augmentation(views=BOTH, shift_pixels=2)
    draws = drawn(augmentation, range(20))
    found = augmentation.apply_to_images(images, draws)
    assert found.dtype == torch.uint8
    assert torch.equal(found.float(), augmentation.apply_to_images(images.float(), draws))


@pytest.mark.parametrize(
    "values",
    [
        {"views": ("hflop",)},
        {"views": ("hflip", "hflip")},
        {"view_probability": 1.1},
        {"view_probability": float("nan")},
        {"shift_pixels": -1},
        {"noise": -0.1},
        {"noise": float("inf")},
        {"gain": 1.0},
        {"gain": -0.1},
        {"mixup": -1.0},
        {"mixup": float("nan")},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_refused(values):
    with pytest.raises(ValueError, match=r"must|Unknown view|may be named once"):
        Augmentation(**values)
