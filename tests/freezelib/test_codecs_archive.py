"""What is special about codecs that keep a stream per chunk, with or without their packages."""

import sys

import pytest
import torch
from frozen_codecs import assert_within_bound, decoded, drawn

from freezelib.codecs import get_codec, jpeg
from freezelib.codecs.archive import deal, join

PACKAGES = {"zfp:rate=4": "zfpy", "sz3:rel=0.01": "pysz", "jpeg:quality=80": "PIL"}


def smooth(shape, *, seed=0):
    maps = torch.nn.functional.interpolate(drawn((*shape[:2], 4, 4), seed=seed), shape[2:])
    return torch.nn.functional.avg_pool2d(maps, 5, stride=1, padding=2).relu_()


def nbytes(planes):
    return sum(plane.nbytes for plane in planes.values())


@pytest.mark.parametrize("address", PACKAGES)
def test_a_missing_package_is_named_with_the_command_that_installs_it(address, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[address], None)
    monkeypatch.setitem(sys.modules, f"{PACKAGES[address]}.Image", None)
    with pytest.raises(ValueError, match=rf"needs the package {PACKAGES[address]}.*pip install"):
        get_codec(address)


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [0]), (3, [5]), (4, [1, 1000, 7]), (9, []), (0, [])]
)
def test_streams_are_dealt_over_the_rows_and_joined_again(rows, sizes):
    streams = [bytes(range(size % 256)) * (size // 255 + 1) for size in sizes]
    dealt = deal(streams, rows)
    assert len(dealt) == rows
    assert [stream.tobytes() for stream in join(dealt)] == [data for data in streams if data]


@pytest.mark.parametrize("rate", [1, 2, 8, 16])
def test_zfp_keeps_the_size_that_the_rate_says(rate):
    pytest.importorskip("zfpy")
    maps = drawn((16, 4, 16, 16))
    size = nbytes(get_codec(f"zfp:rate={rate}").encode(maps))
    assert 0 <= size - maps.numel() * rate / 8 <= 64


@pytest.mark.parametrize(
    ("package", "coarse", "fine"),
    [
        ("zfpy", "zfp:abs=0.1", "zfp:abs=0.001"),
        ("pysz", "sz3:rel=0.1", "sz3:rel=0.001"),
        ("pysz", "sz3:abs=0.1", "sz3:abs=0.001"),
        ("PIL", "jpeg:quality=20", "jpeg:quality=95"),
    ],
)
def test_a_finer_setting_costs_bytes_and_saves_error(package, coarse, fine):
    pytest.importorskip(package)
    maps = smooth((8, 4, 16, 16))
    planes = {name: get_codec(name).encode(maps) for name in (coarse, fine)}
    errors = {
        name: float((decoded(name, planes[name], range(8), maps) - maps).norm()) for name in planes
    }
    assert nbytes(planes[coarse]) < nbytes(planes[fine]) < maps.nbytes
    assert errors[fine] < errors[coarse] / 2


def test_jpeg_is_smaller_than_its_eight_bit_codes_on_smooth_maps():
    pytest.importorskip("PIL")
    maps = smooth((32, 8, 32, 32))
    size = nbytes(get_codec("jpeg:quality=80").encode(maps))
    assert size < nbytes(get_codec("int8").encode(maps)) / 4


def test_jpeg_takes_as_many_sheets_as_it_needs(monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.setattr(jpeg, "_SHEET_VALUES", 300)  # four maps of 8 x 8
    maps = drawn((5, 2, 5, 7))
    codec = get_codec("jpeg:quality=90")
    planes = codec.encode(maps)
    assert len(list(join(planes["stream"]))) == 3
    assert codec.unpack(planes, (2, 5, 7))["codes"].shape == (5, 70)
    assert_within_bound("jpeg:quality=90", maps)


def test_a_map_on_a_sheet_does_not_disturb_its_neighbour():
    pytest.importorskip("PIL")
    maps = drawn((4, 2, 5, 5))
    planes = get_codec("jpeg:quality=50").encode(maps)
    before = decoded("jpeg:quality=50", planes, [1], maps)
    maps[0] = drawn((2, 5, 5), seed=1) * 50
    planes = get_codec("jpeg:quality=50").encode(maps)
    assert torch.equal(decoded("jpeg:quality=50", planes, [1], maps), before)
