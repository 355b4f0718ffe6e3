"""Addresses of codecs."""

import pytest
import torch

from freezelib.codecs import get_codec, parse_codec
from freezelib.codecs.spec import CODERS, QUANTISERS, CodecSpec

PLAIN = [name for name, parameters in QUANTISERS.items() if not parameters]


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("quantiser", PLAIN)
def test_every_quantiser_goes_with_every_coder(quantiser, coder):
    address = f"{quantiser}+{coder}"
    spec = parse_codec(address)
    assert (spec.quantiser, spec.coder) == (quantiser, coder)
    assert get_codec(address).encode(torch.zeros(1, 1, 2)).keys()


@pytest.mark.parametrize(
    ("address", "shortest"),
    [
        ("int8+none", "int8"),
        ("int4+zstd:1", "int4+zstd"),
        ("int7+lz4:9", "int7+lz4:9"),
        ("int4+zstd:19", "int4+zstd:19"),
        ("int8+zstd:-1", "int8+zstd:-1"),
        ("zfp:rate=4.0+lz4", "zfp:rate=4+lz4"),
        ("zfp:abs=0.5", "zfp:abs=0.5"),
        ("sz3:rel=1e-5", "sz3:rel=1e-05"),
        ("jpeg:quality=80", "jpeg:quality=80"),
    ],
)
def test_every_spelling_has_one_shortest_form(address, shortest):
    assert str(parse_codec(address)) == shortest
    assert parse_codec(shortest) == parse_codec(address)
    assert hash(parse_codec(shortest)) == hash(parse_codec(address))


def test_a_spec_says_all_of_its_address():
    spec = parse_codec("zfp:rate=4+zstd:3")
    assert spec == CodecSpec("zfp", "zstd", 3, (("rate", 4),))
    assert parse_codec("int4+zstd").level == 1
    assert parse_codec("int4+lz4").level == 1


@pytest.mark.parametrize("address", ["", "int9", "int8+zip", "lz4", "int8+lz4+lz4", "INT8"])
def test_an_unknown_codec_is_told_the_valid_ones(address):
    with pytest.raises(ValueError, match=r"Unknown codec .*int8\+lz4"):
        get_codec(address)


def test_a_misspelt_codec_is_told_the_nearest():
    with pytest.raises(ValueError, match=r"Did you mean 'int8\+lz4'\?"):
        get_codec("int8+lz5")


@pytest.mark.parametrize(
    ("address", "law"),
    [
        ("int8+lz4:13", "The levels of lz4 are 1 to 12"),
        ("int8+zstd:0", "The levels of zstd are -20 to -1 and 1 to 22"),
        ("int8+zstd:-21", "The levels of zstd are -20 to -1 and 1 to 22"),
        ("int8+lz4:-1", "The levels of lz4 are 1 to 12"),
        ("int8+none:1", "The levels of none are none"),
        ("int8+zstd:23", "The levels of zstd are -20 to -1 and 1 to 22"),
        ("int8+zstd:fast", "The levels of zstd are -20 to -1 and 1 to 22"),
        ("int8:rate=4", "int8 takes no parameters"),
        ("zfp", "zfp takes exactly one of rate, abs"),
        ("zfp:rate=4,abs=1", "zfp takes exactly one of rate, abs"),
        ("sz3:rate=4", "sz3 takes exactly one of rel, abs"),
        ("zfp:rate=0.5", "1 <= rate <= 32"),
        ("zfp:rate=nan", "1 <= rate <= 32"),
        ("zfp:rate=high", "1 <= rate <= 32"),
        ("jpeg:quality=80.5", "1 <= quality <= 100 and a whole number"),
        ("jpeg:quality=inf", "1 <= quality <= 100 and a whole number"),
        ("zfp:rate", "name:key=value"),
    ],
)
def test_a_parameter_or_level_that_makes_no_sense_is_refused_with_the_law(address, law):
    with pytest.raises(ValueError, match=law):
        parse_codec(address)
