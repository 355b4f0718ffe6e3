import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.augment import get_view, map_shifts, map_stride, shift_maps

sides = st.integers(1, 9)
offsets = st.integers(-12, 12)


def moved(maps, down, right):
    return shift_maps(maps, np.tile(np.array([down, right], np.int64), (len(maps), 1)))


@settings(max_examples=60)
@given(height=sides, width=sides, moves=st.lists(st.tuples(offsets, offsets), min_size=1))
def test_every_place_is_read_from_where_it_came_and_the_border_repeats_the_edge(
    height, width, moves
):
    maps = torch.randn(len(moves), 2, height, width)
    found = shift_maps(maps, np.array(moves, np.int64))
    for sample, (down, right) in enumerate(moves):
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        assert torch.equal(found[sample], maps[sample][:, rows][:, :, columns])


@settings(max_examples=30)
@given(down=offsets, right=offsets, low=st.floats(0.5, 10))
def test_no_value_appears_that_was_not_there(down, right, low):
    """A zero border would be a value that the prefix never produced."""
    maps = low + torch.rand(2, 3, 5, 5)
    found = moved(maps, down, right)
    assert found.min() >= maps.min()
    assert set(found.flatten().tolist()) <= set(maps.flatten().tolist())


def test_a_shift_of_whole_pixels_is_the_view_of_that_shift():
    maps = torch.randn(3, 2, 8, 10)
    view = get_view(f"shift:x={2 / 10},y={-3 / 8}")
    torch.testing.assert_close(moved(maps, -3, 2), view.apply(maps), rtol=0, atol=1e-4)


def test_no_shift_is_the_identity_in_a_tensor_of_its_own():
    maps = torch.randn(2, 3, 4, 4)
    still = moved(maps, 0, 0)
    assert torch.equal(still, maps)
    assert still.data_ptr() != maps.data_ptr()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float64])
def test_the_type_stays(dtype):
    maps = torch.randint(0, 255, (2, 1, 3, 3)).to(dtype)
    assert torch.equal(moved(maps, 1, 0)[:, :, 1:], maps[:, :, :-1])
    assert moved(maps, 1, 0).dtype == dtype


@settings(max_examples=60)
@given(shift=st.integers(-40, 40), stride=st.integers(1, 16))
def test_a_map_is_shifted_by_the_nearest_multiple_of_the_stride_and_symmetrically(shift, stride):
    cells = map_shifts(np.array([[shift, -shift]]), stride)
    assert cells.dtype == np.int64
    assert abs(cells[0, 0] * stride - shift) <= stride / 2
    assert cells[0, 0] == -cells[0, 1]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_shifts_that_are_multiples_of_the_stride_are_kept(stride):
    pixels = np.arange(-4, 5)[:, None] * stride
    np.testing.assert_array_equal(map_shifts(pixels, stride) * stride, pixels)


@pytest.mark.parametrize("stride", [2, 4])
def test_the_spread_on_the_map_is_close_to_that_on_the_image(stride):
    pixels = np.arange(-4, 5)
    assert 0.8 < (map_shifts(pixels, stride) * stride).var() / pixels.var() < 1.25


def strided():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
    )


@torch.no_grad()
def inner_error(pixels, cells):
    """Of the shifted map against the map of the shifted image, away from the border."""
    prefix, images = strided(), torch.randn(4, 1, 24, 24)
    true, maps = prefix(moved(images, pixels, pixels)), moved(prefix(images), cells, cells)
    inside = (..., slice(4, -4), slice(4, -4))
    return float((maps - true)[inside].abs().max())


def test_a_shift_by_the_stride_commutes_with_a_convolution_inside_and_another_does_not():
    assert inner_error(2, 1) < 1e-5
    assert inner_error(1, 1) > 0.1
    assert inner_error(1, 0) > 0.1


@pytest.mark.parametrize(
    ("image", "maps", "stride"),
    [
        ((1, 28, 28), (16, 28, 28), 1),
        ((1, 28, 28), (64, 7, 7), 4),
        ((3, 32, 64), (8, 8, 16), 4),
        ((3, 30, 30), (64, 8, 8), None),
        ((3, 32, 64), (8, 16, 16), None),
        ((3, 8, 8), (4, 16, 16), None),
        ((3, 32, 32), (65, 192), None),
    ],
)
def test_the_stride_of_a_cut(image, maps, stride):
    assert map_stride(image, maps) == stride
