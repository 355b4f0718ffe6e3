"""Every codec keeps one contract: add a codec here and it inherits the suite."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
import torch
from frozen_codecs import assert_within_bound, decoded, drawn, round_trip
from hypothesis import given, settings
from hypothesis import strategies as st

from freezelib.codecs import get_codec
from freezelib.codecs.base import gather
from freezelib.codecs.scratch import Scratch
from freezelib.codecs.spec import QUANTISERS

EXACT_ZEROS = ["raw", "f16", "bf16", "int8", "int8c", "int7", "int8p", "int4", "int2"]
PACKAGES = {"zfp:rate=8": "zfpy", "zfp:abs=0.01": "zfpy", "sz3:rel=0.01": "pysz"}
PACKAGES |= {"sz3:abs=0.01": "pysz", "jpeg:quality=80": "PIL"}
ARCHIVE = [
    pytest.param(name, marks=pytest.mark.skipif(not find_spec(package), reason=f"no {package}"))
    for name, package in PACKAGES.items()
]
every_codec = pytest.mark.parametrize("name", [*EXACT_ZEROS, *ARCHIVE])
every_row_codec = pytest.mark.parametrize("name", EXACT_ZEROS)
shapes = (
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
    | st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 200))
    | st.tuples(st.integers(1, 5), st.integers(1, 90))
)
scales = st.sampled_from([1e-8, 1e-3, 1.0, 30.0, 1e3])
seeds = st.integers(0, 2**32)


@every_codec
@settings(max_examples=60, deadline=None)
@given(shape=shapes, scale=scales, seed=seeds, signed=st.booleans())
def test_the_error_stays_within_its_bound(name, shape, scale, seed, signed):
    assert_within_bound(name, drawn(shape, scale=scale, seed=seed, signed=signed))


@every_codec
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-60000, 60000, width=32), min_size=1, max_size=20))
def test_the_error_stays_within_its_bound_for_any_map(name, values):
    assert_within_bound(name, torch.tensor(values).view(1, 1, -1))


@every_row_codec
@settings(max_examples=40, deadline=None)
@given(shape=shapes, scale=scales, seed=seeds, signed=st.booleans())
def test_zeros_come_back_as_zeros(name, shape, scale, seed, signed):
    maps = drawn(shape, scale=scale, seed=seed, signed=signed)
    maps[torch.rand(shape) < 0.5] = 0
    assert torch.all(round_trip(name, maps)[maps == 0] == 0)


@every_row_codec
@settings(max_examples=40, deadline=None)
@given(shape=shapes, seed=seeds)
def test_no_value_changes_its_sign(name, shape, seed):
    maps = drawn(shape, seed=seed)
    assert torch.all(round_trip(name, maps) * maps >= 0)


@every_codec
def test_dead_channels_come_back_dead_beside_live_ones(name):
    maps = drawn((4, 3, 8, 8))
    maps[:, 1] = 0
    maps[2] = 0
    back = round_trip(name, maps)
    assert torch.all(torch.isfinite(back))
    assert_within_bound(name, maps)
    if name in EXACT_ZEROS:
        assert torch.all(back[:, 1] == 0)
        assert torch.all(back[2] == 0)


@every_codec
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-5, 0.7, -0.7, 300.0, -300.0])
def test_constant_maps_keep_to_the_bound(name, value):
    assert_within_bound(name, torch.full((2, 2, 3, 3), value))


@every_row_codec
def test_one_channel_does_not_cost_another_its_precision(name):
    maps = drawn((3, 2, 8, 8))
    alone = round_trip(name, maps[:, :1])
    maps[:, 1] *= 1e4
    assert torch.equal(round_trip(name, maps)[:, :1], alone)


@every_codec
@settings(max_examples=40, deadline=None)
@given(shape=shapes, seed=seeds, picked=st.data())
def test_any_rows_decode_to_the_same_as_in_the_whole(name, shape, seed, picked):
    maps = drawn(shape, seed=seed)
    rows = picked.draw(st.lists(st.integers(0, shape[0] - 1), max_size=8))
    planes = get_codec(name).encode(maps)
    whole = decoded(name, planes, range(len(maps)), maps)
    assert torch.equal(decoded(name, planes, rows, maps), whole[rows])


@every_codec
def test_every_plane_has_the_sample_first(name):
    maps = drawn((7, 3, 5, 5))
    codec = get_codec(name)
    stored = codec.encode(maps)
    read = codec.unpack(stored, tuple(maps.shape[1:]))
    assert all(len(plane) == 7 for plane in [*stored.values(), *read.values()])


@every_codec
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4), (0, 5), (1, 1, 1, 1)])
def test_no_samples_channels_or_positions_are_no_special_case(name, shape):
    assert round_trip(name, torch.zeros(shape)).shape == shape


@every_codec
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(name, bad):
    maps = drawn((2, 3, 4, 4))
    maps[1, 2, 3, 0] = bad
    with pytest.raises(ValueError, match="must be finite to be cached, but 1 of 96"):
        get_codec(name).encode(maps)


@every_codec
def test_maps_of_another_type_are_refused(name):
    with pytest.raises(ValueError, match=r"must be float32 to be cached, but got torch\.bfloat16"):
        get_codec(name).encode(drawn((2, 3, 4, 4)).bfloat16())


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
def test_a_used_scratch_changes_no_result(name):
    scratch = Scratch()
    for seed, shape in enumerate([(6, 4, 9, 9), (6, 4, 9, 9), (3, 2, 5, 5), (8, 4, 12, 12)]):
        maps = drawn(shape, seed=seed, signed=seed % 2 == 0)
        planes, rows = get_codec(name).encode(maps), [len(maps) - 1, 0, 1, 1]
        fresh = decoded(name, planes, rows, maps)
        assert torch.equal(decoded(name, planes, rows, maps, scratch), fresh)


@every_codec
def test_gathered_planes_dequantise_like_the_rows(name):
    maps, codec, rows = drawn((6, 4, 9, 9)), get_codec(name), torch.tensor([5, 0, 0])
    planes = codec.unpack(codec.encode(maps), tuple(maps.shape[1:]))
    out = torch.empty(3, 4, 9, 9)
    codec.dequantise_into(gather(planes, rows, Scratch()), out, Scratch())
    assert torch.equal(out, decoded(name, codec.encode(maps), rows, maps))


@every_row_codec
def test_dequantising_asks_of_a_device_no_more_than_torch_operators(name):
    """The meta device has every shape and no memory: nothing may pass through NumPy or the CPU."""
    codec = get_codec(name)
    for maps in (drawn((4, 3, 9, 9)), drawn((4, 3, 9, 9), signed=False)):
        planes = {key: plane.to("meta") for key, plane in codec.encode(maps).items()}
        codec.dequantise_into(planes, torch.empty(4, 3, 9, 9, device="meta"), Scratch())


@every_codec
def test_threads_do_not_disturb_each_other(name):
    codec, maps = get_codec(name), [drawn((16, 4, 9, 9), seed=seed) for seed in range(4)]
    expected = [round_trip(name, m) for m in maps]

    def work(job):
        m, scratch = maps[job % 4], Scratch()
        planes = codec.unpack(codec.encode(m), (4, 9, 9))
        out, same = torch.empty_like(m), True
        for _ in range(3):
            codec.decode_into(planes, torch.arange(len(m)), out, scratch)
            same &= torch.equal(out, expected[job % 4])
        return same

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(64)))


@every_row_codec
def test_other_threads_run_while_a_batch_is_decoded(name):
    """No thread is ever asked to give the interpreter up: it must do so by itself."""
    codec, maps, scratch = get_codec(name), drawn((512, 8, 32, 32), signed=False), Scratch()
    planes, rows, out = codec.encode(maps), torch.arange(len(maps)), torch.empty_like(maps)
    decoding, seen = threading.Event(), threading.Event()

    def decode():
        for _ in range(200):
            decoding.set()
            codec.decode_into(planes, rows, out, scratch)
            decoding.clear()
            if seen.is_set():
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        worker = threading.Thread(target=decode)
        worker.start()
        while worker.is_alive():
            if decoding.is_set():
                seen.set()
            time.sleep(0)  # gives the interpreter up
    finally:
        sys.setswitchinterval(interval)
    assert seen.is_set()


def test_more_bits_lose_less():
    maps = drawn((8, 4, 12, 12), signed=False)
    order = ("raw", "f16", "bf16", "int8", "int4", "int2")
    errors = [float((round_trip(name, maps) - maps).norm()) for name in order]
    assert errors == sorted(errors)
    assert errors[0] == 0
    assert errors[4] > 10 * errors[3]


def test_the_suite_and_the_registry_hold_the_same_codecs():
    assert {name.partition(":")[0] for name in [*EXACT_ZEROS, *PACKAGES]} == set(QUANTISERS)
