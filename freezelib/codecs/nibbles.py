"""Two four-bit codes in a byte, planar: the low nibbles are the first half of a sample's codes.

Halves that lie apart are unpacked by two straight loops over whole samples; neighbours in a byte
would have to be interleaved.
"""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.scratch import Scratch


def pack(codes: Tensor) -> Tensor:
    """Codes under 16, ``uint8 [n, count]``, into ``uint8 [n, ceil(count / 2)]``."""
    half = (codes.shape[1] + 1) // 2
    packed = codes[:, :half].clone()
    packed[:, : codes.shape[1] - half] |= codes[:, half:] << 4
    return packed


def unpack(packed: Tensor, count: int, scratch: Scratch) -> Tensor:
    """The codes again, ``uint8 [n, count]`` in a buffer of the scratch."""
    codes = scratch.take("nibbles", (len(packed), count), torch.uint8, packed.device)
    half = packed.shape[1]
    torch.bitwise_and(packed, 15, out=codes[:, :half])
    torch.bitwise_right_shift(packed[:, : count - half], 4, out=codes[:, half:])
    return codes
