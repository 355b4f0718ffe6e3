"""Feature maps, and round trips through a codec, for the tests of codecs."""

import torch

from freezelib.codecs import get_codec


def drawn(shape, *, scale=1.0, seed=0, signed=True):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale
    return maps if signed else maps.clamp_min(0)


def decoded(address, planes, rows, like, scratch=None):
    codec = get_codec(address)
    rows = torch.as_tensor(rows, dtype=torch.int64)
    out = torch.full((len(rows), *like.shape[1:]), float("nan"))
    codec.decode_into(codec.unpack(planes, tuple(like.shape[1:])), rows, out, scratch)
    return out


def round_trip(address, maps):
    return decoded(address, get_codec(address).encode(maps), range(len(maps)), maps)


def assert_within_bound(address, maps):
    error = (round_trip(address, maps) - maps).abs()
    bound = get_codec(address).error_bound(maps)
    assert torch.all(error <= bound), f"{(error - bound).max()} over the bound"
