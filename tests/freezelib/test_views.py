import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from freezelib.augment import assign_views, get_view

FLIPS = ["hflip", "vflip"]
MOVING = [
    *FLIPS,
    "rotate:degrees=10",
    "rotate:degrees=-37.5",
    "shift:x=0.1,y=0",
    "shift:y=-.2,x=.05",
]
STAYING = ["brightness:by=-0.3", "contrast:factor=1.5", "saturation:factor=0.4"]
VIEWS = MOVING + STAYING
sides = st.integers(1, 17)
seeds = st.integers(0, 2**40)


def maps(height, width, count=2, channels=3):
    return torch.randn(count, channels, height, width)


def smooth(side):
    """A trigonometric surface, sampled at the pixel centres of any resolution."""
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([torch.sin(2 * x + y), torch.cos(x - 1.5 * y)]).unsqueeze(0)


@pytest.mark.parametrize("address", VIEWS)
@settings(max_examples=15)
@given(height=sides, width=sides)
def test_a_view_keeps_the_shape_and_leaves_its_input_alone(address, height, width):
    x = maps(height, width)
    before = x.clone()
    seen = get_view(address).apply(x)
    assert seen.shape == x.shape
    assert torch.equal(x, before)
    assert seen.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("address", MOVING)
@settings(max_examples=15)
@given(height=sides, width=sides)
def test_a_view_that_moves_keeps_the_range_and_is_its_own_counterpart(address, height, width):
    x, view = maps(height, width), get_view(address)
    seen = view.apply(x)
    assert x.min() - 1e-5 <= seen.min()
    assert seen.max() <= x.max() + 1e-5
    assert torch.equal(view.counterpart(x), seen)


@pytest.mark.parametrize("address", STAYING)
def test_a_view_that_stays_leaves_feature_maps_and_tokens_alone(address):
    for x in (maps(5, 6), torch.randn(2, 9, 4)):
        assert torch.equal(get_view(address).counterpart(x), x)


@pytest.mark.parametrize("address", STAYING)
def test_a_view_that_stays_goes_with_every_move(address):
    x, apply = maps(6, 6), get_view(address).apply
    torch.testing.assert_close(apply(x.rot90(1, (2, 3))), apply(x).rot90(1, (2, 3)))


@settings(max_examples=20)
@given(factor=st.floats(0, 3), by=st.floats(-2, 2), height=sides, width=sides)
def test_contrast_and_saturation_keep_their_means_and_brightness_moves_it(
    factor, by, height, width
):
    x = maps(height, width)
    for name, dims in (("contrast", (2, 3)), ("saturation", 1)):
        seen, mean = get_view(f"{name}:factor={factor}").apply(x), x.mean(dims, keepdim=True)
        torch.testing.assert_close(seen.mean(dims, keepdim=True), mean, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(seen - mean, (x - mean) * factor, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(get_view(f"brightness:by={by}").apply(x), x + by)


@pytest.mark.parametrize("address", ["contrast:factor=1.5", "saturation:factor=0.5"])
def test_contrast_and_saturation_do_not_ask_how_an_image_was_scaled(address):
    x, apply = maps(6, 6), get_view(address).apply
    torch.testing.assert_close(apply(3 * x - 1), 3 * apply(x) - 1)


@pytest.mark.parametrize("address", [*MOVING, "brightness:by=0.5", "contrast:factor=0.5"])
def test_a_view_treats_every_sample_and_channel_alike(address):
    x, apply = maps(9, 9, count=4), get_view(address).apply
    one_by_one = torch.cat([apply(x[i : i + 1, c : c + 1]) for i in range(4) for c in range(3)])
    torch.testing.assert_close(apply(x), one_by_one.view_as(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("address", FLIPS)
@settings(max_examples=20)
@given(height=sides, width=sides)
def test_flips_are_involutions(address, height, width):
    x, apply = maps(height, width), get_view(address).apply
    assert torch.equal(apply(apply(x)), x)


def test_flips_are_exact():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert get_view("hflip").apply(x).tolist() == [[[[2, 1, 0], [5, 4, 3]]]]
    assert get_view("vflip").apply(x).tolist() == [[[[3, 4, 5], [0, 1, 2]]]]


@settings(max_examples=25)
@given(
    height=st.integers(5, 16),
    width=st.integers(5, 16),
    dx=st.integers(-4, 4),
    dy=st.integers(-4, 4),
)
def test_a_shift_by_whole_pixels_is_a_roll_inside_the_border(height, width, dx, dy):
    x = maps(height, width)
    seen = get_view(f"shift:x={dx / width},y={dy / height}").apply(x)
    rolled = x.roll((dy, dx), (2, 3))
    inside = (
        slice(max(dy, 0), height + min(dy, 0)),
        slice(max(dx, 0), width + min(dx, 0)),
    )
    torch.testing.assert_close(seen[(..., *inside)], rolled[(..., *inside)], rtol=0, atol=1e-4)


def test_a_shift_repeats_the_border():
    x = maps(4, 4)
    seen = get_view("shift:x=0.5,y=0").apply(x)
    torch.testing.assert_close(seen[..., :2], x[..., :1].expand(-1, -1, -1, 2))


@pytest.mark.parametrize(
    "address",
    [
        *("rotate:degrees=0", "rotate:degrees=360", "shift:x=0,y=0"),
        *("brightness:by=0", "contrast:factor=1", "saturation:factor=1"),
    ],
)
@settings(max_examples=10)
@given(height=sides, width=sides)
def test_a_view_that_changes_nothing_is_the_identity(address, height, width):
    x = maps(height, width)
    torch.testing.assert_close(get_view(address).apply(x), x, rtol=0, atol=1e-4)


def test_a_quarter_turn_of_a_square_is_exact():
    x = maps(6, 6)
    torch.testing.assert_close(
        get_view("rotate:degrees=90").apply(x), x.rot90(1, (2, 3)), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("address", FLIPS)
@pytest.mark.parametrize("factor", [2, 3])
def test_flips_of_an_image_and_of_its_enlargement_are_the_same_view(address, factor):
    x, apply = maps(5, 7), get_view(address).apply
    enlarged = functional.interpolate(x, scale_factor=factor)
    assert torch.equal(functional.interpolate(apply(x), scale_factor=factor), apply(enlarged))


@pytest.mark.parametrize("address", MOVING)
def test_one_view_acts_alike_at_every_resolution(address):
    apply = get_view(address).apply
    fine = functional.avg_pool2d(apply(smooth(128)), 4)
    coarse = apply(smooth(32))
    inside = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(coarse[inside], fine[inside], rtol=0, atol=5e-3)
    if address not in FLIPS:  # the bound means something: moving nothing would break it
        assert (smooth(32) - fine)[inside].abs().max() > 5e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("address", VIEWS)
def test_a_view_keeps_the_type(address, dtype):
    assert get_view(address).apply(maps(4, 4).to(dtype)).dtype == dtype


def test_a_view_keeps_its_address():
    assert [get_view(address).name for address in VIEWS] == VIEWS


def test_an_unknown_view_is_told_the_valid_names_and_the_nearest():
    with pytest.raises(ValueError) as caught:
        get_view("hflop")
    text = str(caught.value)
    assert "Unknown view 'hflop'" in text
    assert all(name in text for name in ("hflip", "rotate", "shift", "brightness"))
    assert "Did you mean 'hflip'?" in text


@pytest.mark.parametrize(
    "address",
    [
        "",
        "rotate",
        "rotate:angle=10",
        "rotate:degrees=10,x=1",
        "rotate:degrees",
        "rotate:degrees=",
        "rotate:degrees=ten",
        "rotate:degrees=nan",
        "rotate:degrees=inf",
        "shift:x=0.1",
        "hflip:x=1",
        "brightness:factor=1.3",
        "contrast:factor=inf",
        "saturation",
        "hflip,vflip",
    ],
)
def test_a_bad_address_is_refused(address):
    with pytest.raises(ValueError, match=r"view|address"):
        get_view(address)


@settings(max_examples=40)
@given(
    seed=seeds,
    epoch=st.integers(0, 1000),
    num_views=st.integers(0, 5),
    probability=st.floats(0, 1),
    order=st.permutations(range(40)),
    at=st.integers(0, 40),
)
@example(seed=0, epoch=0, num_views=1, probability=5e-324, order=list(range(40)), at=0)
def test_a_view_depends_on_seed_epoch_and_sample_alone(
    seed, epoch, num_views, probability, order, at
):
    def views(ids):
        return assign_views(
            seed=seed, epoch=epoch, sample_ids=ids, num_views=num_views, probability=probability
        )

    ids = np.arange(1000, 1040)
    whole, order = views(ids), np.array(order)
    assert whole.dtype == np.int64
    assert np.all((whole >= 0) & (whole <= num_views))
    np.testing.assert_array_equal(views(ids[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([views(ids[:at]), views(ids[at:])]), whole)


@pytest.mark.parametrize("num_views", [1, 2, 5])
@pytest.mark.parametrize("probability", [0.3, 0.5, 1.0])
def test_views_have_the_frequencies_that_were_asked_for(num_views, probability):
    count = 40_000
    taken = assign_views(
        seed=1, epoch=2, sample_ids=np.arange(count), num_views=num_views, probability=probability
    )
    found = np.bincount(taken, minlength=num_views + 1) / count
    expected = np.array([1 - probability, *[probability / num_views] * num_views])
    five_sigma = 5 * np.sqrt(expected * (1 - expected) / count) + 1e-12
    assert np.all(np.abs(found - expected) <= five_sigma)


def test_no_view_is_taken_with_probability_0():
    ids = np.arange(1000)
    assert not assign_views(seed=0, epoch=0, sample_ids=ids, num_views=3, probability=0.0).any()


def test_epochs_and_seeds_draw_anew():
    ids = np.arange(4000)

    def views(seed, epoch):
        return assign_views(seed=seed, epoch=epoch, sample_ids=ids, num_views=1, probability=0.5)

    for other in (views(0, 1), views(1, 0)):
        assert abs((views(0, 0) == other).mean() - 0.5) < 0.05
