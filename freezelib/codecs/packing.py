"""Codes of four or two bits in bytes, planar: the low bits of the bytes are the first part of a
sample's codes.

Parts that lie apart are unpacked by straight loops over whole samples; neighbours in a byte would
have to be interleaved.
"""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.scratch import Scratch

# Tensors, because torch takes longer to wrap a Python number than to use it on a batch.
_NIBBLE, _PAIR, *_SHIFTS = (torch.tensor(n, dtype=torch.uint8) for n in (15, 3, 0, 2, 4, 6))
_FOUR, _HIGH_NIBBLE = _SHIFTS[2], torch.tensor(240, dtype=torch.uint8)


def pack_nibbles(codes: Tensor, half: int) -> Tensor:
    """Codes under 16, ``uint8 [n, count]``, into ``uint8 [n, half]``; the first half lies low."""
    return _pack(codes, half, bits=4)


def spread_nibbles(packed: Tensor, count: int, scratch: Scratch) -> Tensor:
    """The codes again, ``uint8 [n, count]`` in a buffer; those behind the half times sixteen.

    To leave them where they lie is faster than to shift them, and their scale can make up for it.
    """
    half = packed.shape[1]
    codes = scratch.take("codes", (len(packed), 2, half), torch.uint8, packed.device)
    low, high = codes.unbind(1)
    torch.bitwise_and(packed, _NIBBLE, out=low)
    torch.bitwise_and(packed, _HIGH_NIBBLE, out=high)
    return codes.flatten(1) if count == 2 * half else codes.flatten(1)[:, :count]


def join_nibbles(high: Tensor, low: Tensor, count: int, scratch: Scratch) -> Tensor:
    """Codes ``16 * high + low`` of two packed planes, ``uint8 [n, count]``, by bytes alone."""
    codes = scratch.take("codes", (len(high), count), torch.uint8, high.device)
    nibble = scratch.take("nibble", tuple(high.shape), torch.uint8, high.device)
    half = high.shape[1]
    first, second = codes[:, :half], codes[:, half:]
    torch.bitwise_left_shift(high, _FOUR, out=first)
    first.bitwise_or_(torch.bitwise_and(low, _NIBBLE, out=nibble))
    torch.bitwise_right_shift(low, _FOUR, out=nibble)
    rest = count - half  # the last high nibbles may be empty
    torch.bitwise_and(high[:, :rest], _HIGH_NIBBLE, out=second)
    second.bitwise_or_(nibble[:, :rest])
    return codes


def pack_pairs(codes: Tensor) -> Tensor:
    """Codes under 4, ``uint8 [n, count]``, into ``uint8 [n, ceil(count / 4)]``."""
    return _pack(codes, (codes.shape[1] + 3) // 4, bits=2)


def unpack_pairs(packed: Tensor, count: int, scratch: Scratch) -> Tensor:
    """The codes again, ``uint8 [n, count]`` in a buffer of the scratch."""
    codes = scratch.take("codes", (len(packed), count), torch.uint8, packed.device)
    quarter = packed.shape[1]
    for place, shift in enumerate(_SHIFTS):
        part = codes[:, place * quarter : (place + 1) * quarter]
        torch.bitwise_right_shift(packed[:, : part.shape[1]], shift, out=part)
    return codes.bitwise_and_(_PAIR)


def _pack(codes: Tensor, size: int, *, bits: int) -> Tensor:
    packed = codes.new_zeros(len(codes), size)
    for place in range(8 // bits):
        part = codes[:, place * size : (place + 1) * size]
        packed[:, : part.shape[1]] |= part << bits * place
    return packed
