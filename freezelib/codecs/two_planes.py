"""Eight bits in two nibble planes, the first of which alone is a four-bit code."""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, by_sample
from freezelib.codecs.groups import from_scale
from freezelib.codecs.integers import Integer, to_values
from freezelib.codecs.nibbles import pack
from freezelib.codecs.scratch import Scratch

_FINE = 16  # fine steps in a coarse one
_MIDDLE = 8  # code of a fine rest of zero


class TwoPlanes(Codec):
    """``value = (high - zero + (low - 8) / 16) * scale``, with ``low`` in a plane of its own.

    ``high`` is rounded to the nearest and is, with its scale and zero, what ``int4`` stores in the
    planes of those names; ``low`` is the signed rest in sixteenths of a step. Without it, the
    decoder gives exactly the values of ``int4``: a step in rate that needs no rebuild.
    """

    detachable = ("low",)

    def __init__(self) -> None:
        self._coarse = Integer(4)

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        coarse = self._coarse.quantise(maps)
        step, zero = from_scale(coarse.scale).unsqueeze(2), coarse.zero.float().unsqueeze(2)
        rest = self._coarse.grouped(maps.contiguous()) / step - (coarse.codes - zero)
        low = (rest * _FINE).round_().add_(_MIDDLE).clamp_(0, 15).to(torch.uint8)
        return self._coarse.packed(coarse) | {"low": pack(low.flatten(1))}

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        if "low" not in planes:
            self._coarse.dequantise_into(planes, out, scratch)
            return
        flat, step = by_sample(out), from_scale(planes["scale"])
        flat.copy_(_joined(planes["codes"], planes["low"], flat.shape[1], scratch))
        zero = torch.full_like(step, _MIDDLE)
        if "zero" in planes:
            zero += planes["zero"].float() * _FINE
        to_values(self._coarse.grouped(out), step / _FINE, zero)

    def error_bound(self, maps: Tensor) -> Tensor:
        """A fine step: half of one, or a whole where a rest of +8/16 finds no code."""
        return self._coarse.error_bound(maps) * (2 / _FINE)


def _joined(high: Tensor, low: Tensor, count: int, scratch: Scratch) -> Tensor:
    """Codes ``16 * high + low`` of two packed planes, ``uint8 [n, count]``, by bytes alone."""
    codes = scratch.take("joined", (len(high), count), torch.uint8, high.device)
    nibble = scratch.take("nibble", tuple(high.shape), torch.uint8, high.device)
    half = high.shape[1]
    first, second = codes[:, :half], codes[:, half:]
    torch.bitwise_left_shift(high, 4, out=first)
    first.bitwise_or_(torch.bitwise_and(low, 15, out=nibble))
    torch.bitwise_right_shift(low, 4, out=nibble)
    rest = count - half  # an odd count leaves the last high nibble empty
    torch.bitwise_and(high[:, :rest], 240, out=second)
    second.bitwise_or_(nibble[:, :rest])
    return codes
