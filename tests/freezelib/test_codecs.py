"""Every codec keeps one contract: add a codec here and it inherits the suite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from freezelib.codecs import get_codec, parse_codec
from freezelib.codecs.spec import CODERS, QUANTISERS


def exact(maps):
    return torch.zeros_like(maps)


def half_rounding(maps):
    return maps.abs() * 2**-11 + 2**-25


def half_a_scale(bits):
    """The range that a map spans, zero included, over the levels; see the codec's docstring."""

    def bound(maps):
        flat = maps.flatten(2)
        low, high = flat.amin(2).clamp_max(0), flat.amax(2).clamp_min(0)
        levels = 2**bits - 1 - (low < 0).float()
        scale = ((high - low) / levels * (1 + 2**-9)).clamp_min(2**-14) * (1 + 2**-11)
        return 0.5001 * scale.view(*scale.shape, *[1] * (maps.ndim - 2)).expand_as(maps)

    return bound


@dataclass(frozen=True)
class Expected:
    error: object
    most: float  # range of a map that it can still store
    bits: int


CODECS = {
    "raw": Expected(exact, 1e38, 32),
    "f16": Expected(half_rounding, 65504, 16),
    "int8": Expected(half_a_scale(8), 1.6e7, 8),
    "int4": Expected(half_a_scale(4), 9e5, 4),
}
every_codec = pytest.mark.parametrize("name", CODECS)
shapes = st.tuples(
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)
) | st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 30))
scales = st.sampled_from([1e-8, 1e-3, 1.0, 30.0, 1e4])
seeds = st.integers(0, 2**32)


def drawn(shape, *, scale=1.0, seed=0, signed=True):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale
    return maps if signed else maps.clamp_min(0)


def decoded(name, planes, rows, like):
    rows = torch.as_tensor(rows, dtype=torch.int64)
    out = torch.full((len(rows), *like.shape[1:]), float("nan"))
    get_codec(name).decode_into(planes, rows, out)
    return out


def round_trip(name, maps):
    return decoded(name, get_codec(name).encode(maps), range(len(maps)), maps)


def assert_within_bound(name, maps):
    error = (round_trip(name, maps) - maps).abs()
    bound = CODECS[name].error(maps)
    assert torch.all(error <= bound), f"{(error - bound).max()} over the bound"


@every_codec
@settings(max_examples=60)
@given(shape=shapes, scale=scales, seed=seeds, signed=st.booleans())
def test_the_error_stays_within_its_bound(name, shape, scale, seed, signed):
    assert_within_bound(name, drawn(shape, scale=scale, seed=seed, signed=signed))


@every_codec
@settings(max_examples=60)
@given(values=st.lists(st.floats(-60000, 60000, width=32), min_size=1, max_size=20))
def test_the_error_stays_within_its_bound_for_any_map(name, values):
    assert_within_bound(name, torch.tensor(values).view(1, 1, -1))


@every_codec
@settings(max_examples=40)
@given(shape=shapes, scale=scales, seed=seeds, signed=st.booleans())
def test_zeros_come_back_as_zeros(name, shape, scale, seed, signed):
    maps = drawn(shape, scale=scale, seed=seed, signed=signed)
    maps[torch.rand(shape) < 0.5] = 0
    assert torch.all(round_trip(name, maps)[maps == 0] == 0)


@every_codec
@settings(max_examples=40)
@given(shape=shapes, seed=seeds)
def test_no_value_changes_its_sign(name, shape, seed):
    maps = drawn(shape, seed=seed)
    assert torch.all(round_trip(name, maps) * maps >= 0)


@every_codec
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_maps_of_one_sign_keep_the_full_range(name, sign):
    maps = sign * torch.linspace(0, 3, 16).view(1, 1, 4, 4)
    assert_within_bound(name, maps)
    assert len(round_trip(name, maps).unique()) >= 15, "a level was given away"


@every_codec
def test_dead_channels_come_back_dead_beside_live_ones(name):
    maps = drawn((4, 3, 5, 5))
    maps[:, 1] = 0
    maps[2] = 0
    back = round_trip(name, maps)
    assert torch.all(back[:, 1] == 0)
    assert torch.all(back[2] == 0)
    assert torch.all(torch.isfinite(back))
    assert_within_bound(name, maps)


@every_codec
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-5, 0.7, -0.7, 300.0, -300.0])
def test_constant_maps_keep_to_the_bound(name, value):
    assert_within_bound(name, torch.full((2, 2, 3, 3), value))


@every_codec
def test_one_channel_does_not_cost_another_its_precision(name):
    maps = drawn((3, 2, 6, 6))
    alone = round_trip(name, maps[:, :1])
    maps[:, 1] *= 1e4
    assert torch.equal(round_trip(name, maps)[:, :1], alone)


@every_codec
@settings(max_examples=40)
@given(shape=shapes, seed=seeds, picked=st.data())
def test_any_rows_decode_to_the_same_as_in_the_whole(name, shape, seed, picked):
    maps = drawn(shape, seed=seed)
    rows = picked.draw(st.lists(st.integers(0, shape[0] - 1), max_size=8))
    planes = get_codec(name).encode(maps)
    whole = decoded(name, planes, range(len(maps)), maps)
    assert torch.equal(decoded(name, planes, rows, maps), whole[rows])


@every_codec
def test_every_plane_has_the_sample_first(name):
    planes = get_codec(name).encode(drawn((7, 3, 5, 5)))
    assert all(len(plane) == 7 for plane in planes.values())


@every_codec
def test_no_samples_are_no_special_case(name):
    maps = torch.zeros(0, 3, 4, 4)
    assert round_trip(name, maps).shape == maps.shape


@every_codec
def test_codes_have_the_size_that_the_name_says(name):
    maps = drawn((2, 4, 16, 16), signed=False)
    planes = get_codec(name).encode(maps)
    values = max(planes.values(), key=lambda plane: plane.nbytes)
    assert values.nbytes * 8 == maps.numel() * CODECS[name].bits


@every_codec
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(name, bad):
    maps = drawn((2, 3, 4, 4))
    maps[1, 2, 3, 0] = bad
    with pytest.raises(ValueError, match="must be finite to be cached, but 1 of 96"):
        get_codec(name).encode(maps)


@pytest.mark.parametrize("name", [name for name in CODECS if name != "raw"])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_overflow_is_refused_and_never_clipped(name, sign):
    maps = drawn((2, 3, 4, 4))
    maps[1, 1, 0, 0] = sign * CODECS[name].most
    assert_within_bound(name, maps)
    maps[1, 1, 0, 0] *= 1.1
    with pytest.raises(ValueError, match=r"take raw|raw or int8"):
        get_codec(name).encode(maps)


@every_codec
@pytest.mark.parametrize("layout", ["transposed", "channels_last", "every_other"])
def test_the_memory_layout_of_the_maps_does_not_matter(name, layout):
    maps = drawn((6, 4, 5, 5))
    strided = {
        "transposed": lambda: maps.transpose(2, 3).contiguous().transpose(2, 3),
        "channels_last": lambda: maps.to(memory_format=torch.channels_last),
        "every_other": lambda: maps.repeat_interleave(2, 0)[::2],
    }[layout]()
    before = maps.clone()
    assert torch.equal(round_trip(name, strided), round_trip(name, maps))
    assert torch.equal(maps, before), "encoding changed its input"


@every_codec
def test_decoding_leaves_the_planes_alone(name):
    maps = drawn((4, 3, 5, 5))
    planes = get_codec(name).encode(maps)
    before = {key: plane.clone() for key, plane in planes.items()}
    decoded(name, planes, [3, 0, 0], maps)
    assert all(torch.equal(plane, before[key]) for key, plane in planes.items())


@every_codec
def test_encoding_is_deterministic(name):
    maps, codec = drawn((4, 3, 5, 5)), get_codec(name)
    first, second = codec.encode(maps), codec.encode(maps.clone())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_codec
def test_threads_do_not_disturb_each_other(name):
    codec, maps = get_codec(name), [drawn((16, 4, 9, 9), seed=seed) for seed in range(4)]
    expected = [round_trip(name, m) for m in maps]

    def work(job):
        m = maps[job % 4]
        out = torch.empty_like(m)
        codec.decode_into(codec.encode(m), torch.arange(len(m)), out)
        return torch.equal(out, expected[job % 4])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(64)))


def test_more_bits_lose_less():
    maps = drawn((8, 4, 12, 12), signed=False)
    errors = [
        float((round_trip(name, maps) - maps).norm()) for name in ("raw", "f16", "int8", "int4")
    ]
    assert errors == sorted(errors)
    assert errors[0] == 0
    assert errors[3] > 10 * errors[2]


def test_the_suite_and_the_registry_hold_the_same_codecs():
    assert tuple(CODECS) == QUANTISERS


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("quantiser", QUANTISERS)
def test_every_quantiser_goes_with_every_coder(quantiser, coder):
    address = f"{quantiser}+{coder}"
    spec = parse_codec(address)
    assert (spec.quantiser, spec.coder) == (quantiser, coder)
    assert parse_codec(str(spec)) == spec
    assert get_codec(address).encode(torch.zeros(1, 1, 2)).keys()


def test_no_coder_means_none():
    assert parse_codec("int8") == parse_codec("int8+none")


@pytest.mark.parametrize("address", ["", "int9", "int8+zip", "lz4", "int8+lz4+lz4", "INT8"])
def test_an_unknown_codec_is_told_the_valid_ones(address):
    with pytest.raises(ValueError, match=r"Unknown codec .*int8\+lz4"):
        get_codec(address)


def test_a_misspelt_codec_is_told_the_nearest():
    with pytest.raises(ValueError, match=r"Did you mean 'int8\+lz4'\?"):
        get_codec("int8+lz5")
