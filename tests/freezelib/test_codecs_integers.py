"""What is special about codes of eight, four and two bits."""

import pytest
import torch
from frozen_codecs import assert_within_bound, decoded, drawn, round_trip
from hypothesis import given, settings
from hypothesis import strategies as st

from freezelib.codecs import get_codec
from freezelib.codecs.groups import by_group, from_scale, to_scale

BITS = {"int8": 8, "int8c": 8, "int8p": 8, "int4": 4, "int2": 2}
MOST = {"f16": 65504, "int8": 30720 * 255.5, "int8p": 30720 * 15.5, "int4": 30720 * 15.5}
MOST |= {"int2": 30720 * 4}
every_integer = pytest.mark.parametrize("name", BITS)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))


@every_integer
@pytest.mark.parametrize("shape", [(2, 4, 16, 16), (2, 8, 32, 32), (3, 4, 7, 7), (2, 65, 96)])
def test_codes_have_the_size_that_the_name_says(name, shape):
    maps = drawn(shape, signed=False)
    planes = get_codec(name).encode(maps)
    codes = planes["codes"].nbytes + planes.get("low", torch.empty(0)).nbytes
    assert 0 <= codes * 8 - maps.numel() * BITS[name] < 8 * len(maps)
    assert planes.keys() <= {"codes", "low", "scale"}
    assert planes["scale"].nbytes * 48 <= maps.numel()


@pytest.mark.parametrize(
    ("name", "side", "levels"), [("int8", 32, 226), ("int4", 8, 14), ("int2", 8, 4)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_maps_of_one_sign_use_all_codes_but_what_the_rounded_scale_takes(name, side, levels, sign):
    maps = sign * torch.linspace(0, 3, side * side).view(1, 1, side, side)
    assert_within_bound(name, maps)
    assert len(round_trip(name, maps).unique()) >= levels


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_overflow_is_refused_and_never_clipped(name, sign):
    maps = drawn((2, 3, 4, 4)).abs() * sign
    maps[1, 1, 0, 0] = sign * MOST[name] * 0.93
    assert_within_bound(name, maps)
    maps[1, 1, 0, 0] = sign * MOST[name] * 1.1
    with pytest.raises(ValueError, match="take raw"):
        get_codec(name).encode(maps)


@pytest.mark.parametrize(
    ("kind", "levels"),
    [("positive", (0, 1, 2.25, 4)), ("negative", (0, 1, 2.25, 4)), ("both", (-2.5, 0, 1.5, 4))],
)
def test_two_bits_take_the_nearest_of_four_levels(kind, levels):
    maps = drawn((16, 4, 8, 8))
    maps = {"positive": maps.abs(), "negative": -maps.abs(), "both": maps}[kind]
    planes = get_codec("int2").encode(maps)
    assert ("table" in planes) == (kind != "positive")
    longer_side = torch.where(-maps.amin((2, 3)) > maps.amax((2, 3)), -1, 1)
    unit = (from_scale(planes["scale"]) * longer_side).view(16, 4, 1, 1)
    distances = (maps / unit).unsqueeze(-1).sub(torch.tensor(levels)).abs()
    nearest = torch.tensor(levels)[distances.argmin(-1)] * unit
    assert torch.equal(decoded("int2", planes, range(16), maps), nearest)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**32), signed=st.booleans())
def test_the_first_of_two_planes_is_int4(shape, seed, signed):
    maps = drawn(shape, seed=seed, signed=signed)
    two, four = get_codec("int8p").encode(maps), get_codec("int4").encode(maps)
    low = two.pop("low")
    assert low.shape == four["codes"].shape
    assert two.keys() == four.keys()
    assert all(torch.equal(two[key], four[key]) for key in four)
    rows = range(len(maps))
    assert torch.equal(decoded("int8p", two, rows, maps), decoded("int4", four, rows, maps))


def test_the_second_plane_takes_the_error_down_to_that_of_eight_bits():
    maps = drawn((8, 4, 16, 16), signed=False)
    errors = {name: float((round_trip(name, maps) - maps).norm()) for name in BITS}
    assert errors["int8p"] < 1.1 * errors["int8"]
    assert errors["int8p"] < errors["int4"] / 12


@every_integer
def test_a_negative_value_that_rounds_to_zero_costs_its_neighbours_nothing(name):
    """Its zero is the code 0, but the rest in a second plane is still negative."""
    assert_within_bound(name, torch.tensor([28.0, -1.0]).view(1, 1, 2))


def test_a_band_does_not_cost_another_its_precision_at_four_bits():
    maps = drawn((3, 2, 16, 16), signed=False)
    before = round_trip("int4", maps)
    maps[..., 8:, :] *= 100
    after = round_trip("int4", maps)
    assert torch.equal(after[..., :8, :], before[..., :8, :])
    assert not torch.equal(round_trip("int8", maps)[..., :8, :], before[..., :8, :])


@given(st.floats(0, 30720, width=32))
def test_a_scale_is_rounded_up_by_at_most_an_eighth(step):
    scale = float(from_scale(to_scale(torch.tensor([step]))))
    assert step <= scale <= max(2.0**-17, step * 1.125)


def test_every_byte_is_a_scale_of_its_own():
    scales = torch.arange(256, dtype=torch.uint8)
    steps = from_scale(scales)
    assert torch.all(steps[1:] > steps[:-1])
    assert torch.equal(to_scale(steps), scales)


@pytest.mark.parametrize(
    ("shape", "least", "most", "values"),
    [
        ((16, 32, 32), 32, 64, 64),
        ((16, 28, 28), 32, 64, 56),
        ((64, 7, 7), 32, 64, 49),
        ((64, 7, 7), 64, 128, 98),  # two channels
        ((512,), 32, 64, 32),
        ((65, 96), 32, 64, 48),
        ((3, 13, 13), 32, 64, 169),  # 13 positions in a band would be too few
        ((3, 2, 2), 32, 64, 12),
        ((7, 1, 1), 32, 64, 7),
    ],
)
def test_neighbours_share_a_scale(shape, least, most, values):
    grouped = by_group(torch.empty(2, *shape), least=least, most=most)
    assert grouped.shape == (2, torch.Size(shape).numel() // values, values)
