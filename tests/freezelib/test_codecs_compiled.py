"""A compiled loop gives what the codec gives, or says why it cannot."""

import itertools
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch
from frozen_codecs import drawn

from freezelib.codecs import get_codec, race
from freezelib.codecs.base import gather
from freezelib.codecs.compiled import Compiled
from freezelib.codecs.scratch import Scratch
from freezelib.loader import CacheLoader

# Of torch's own compiler, when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
HEADERS = Path(sysconfig.get_path("include"), "Python.h")
needs_a_compiler = pytest.mark.skipif(
    not (shutil.which("g++") and HEADERS.exists()), reason="no g++ or no Python.h"
)
every_loop = pytest.mark.parametrize("name", ["int8", "int8c", "int7", "int4"])
ROWS = torch.tensor([6, 0, 3, 3, 8])


def pair(name, shape):
    return get_codec(name), Compiled(get_codec(name), shape=(len(ROWS), *shape))


@pytest.fixture(params=[True, False], ids=["loop", "codec"])
def winner(request, monkeypatch):
    """Which of the two ways is found to be the faster one."""
    seconds = itertools.cycle([0.0, 1.0] if request.param else [1.0, 0.0])
    monkeypatch.setattr(race, "_seconds", lambda work: work() or next(seconds))
    return request.param


def decoded(codec, planes, shape):
    out = torch.full((len(ROWS), *shape), float("nan"))
    codec.decode_into(planes, ROWS, out)
    return out


@needs_a_compiler
@every_loop
@pytest.mark.parametrize(
    ("signed", "shape"), [(False, (4, 16, 16)), (True, (3, 7, 5)), (True, (6, 2, 2))]
)
def test_a_loop_gives_the_same_bits_as_the_codec(name, signed, shape, winner):
    codec, compiled = pair(name, shape)
    planes = compiled.encode(drawn((9, *shape), signed=signed))
    exact = decoded(codec, planes, shape)
    out, mine = torch.empty_like(exact), gather(planes, ROWS, Scratch())
    ways = (
        lambda: compiled.decode_into(planes, ROWS, out),
        lambda: compiled.dequantise_into(mine, out, Scratch()),
    )
    for way in ways:
        for _ in range(20):  # compiles, takes all its turns and has a winner
            out.fill_(float("nan"))
            way()
            assert torch.equal(out, exact)
    assert {one.first_won for one in compiled._races.values()} == {winner}


@needs_a_compiler
def test_a_loop_takes_chunks_of_any_size(winner):
    codec, compiled = pair("int4", (4, 8, 8))
    for samples in (9, 10, 40):
        planes = codec.encode(drawn((samples, 4, 8, 8), seed=samples))
        exact = decoded(codec, planes, (4, 8, 8))
        assert torch.equal(decoded(compiled, planes, (4, 8, 8)), exact)


@needs_a_compiler
def test_a_cache_gives_the_same_batches_by_a_loop(build):
    cache = build(codec="int8c+lz4", views=())
    loader = CacheLoader(cache, batch_size=7, seed=0, window=2)
    exact = [(inputs.clone(), labels.clone()) for inputs, labels in loader.epoch(1)]
    cache.compile_decoding(7)
    for (inputs, labels), (expected, ids) in zip(loader.epoch(1), exact, strict=True):
        assert torch.equal(inputs, expected)
        assert torch.equal(labels, ids)


def test_a_cache_without_a_loop_says_so(build):
    with pytest.raises(ValueError, match="int8, int8c, int7 or int4, but got Lloyd"):
        build(codec="int2").compile_decoding(7)


@every_loop
def test_batches_of_another_shape_are_left_to_the_codec(name):
    codec, compiled = get_codec(name), Compiled(get_codec(name), shape=(99, 4, 8, 8))
    planes = codec.encode(drawn((9, 4, 8, 8)))
    exact = decoded(codec, planes, (4, 8, 8))
    assert torch.equal(decoded(compiled, planes, (4, 8, 8)), exact)


@pytest.mark.parametrize("name", ["raw", "f16", "int8p", "int2"])
def test_a_codec_without_a_loop_is_refused(name):
    with pytest.raises(ValueError, match="int8, int8c, int7 or int4, but got"):
        Compiled(get_codec(name), shape=(5, 4, 8, 8))


def test_a_loop_that_cannot_be_compiled_says_what_is_missing(monkeypatch, tmp_path):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (str(tmp_path / "no-compiler"),))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    codec, compiled = pair("int8", (5, 3, 3))
    planes = codec.encode(drawn((9, 5, 3, 3)))
    with pytest.raises(RuntimeError, match="install g\\+\\+ and python3-dev, or do not compile"):
        decoded(compiled, planes, (5, 3, 3))


@needs_a_compiler
def test_a_loop_that_gives_something_else_is_found_out(monkeypatch):
    codec, compiled = pair("int8", (5, 4, 4))
    monkeypatch.setattr(compiled, "_loop", lambda *given: given[-1].fill_(1.0))
    planes = codec.encode(drawn((9, 5, 4, 4)))
    with pytest.raises(RuntimeError, match="does not give what the codec gives"):
        decoded(compiled, planes, (5, 4, 4))
