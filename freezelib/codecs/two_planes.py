"""Eight bits in two nibble planes, the first of which alone is a four-bit code."""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, blocks, by_sample
from freezelib.codecs.groups import from_scale
from freezelib.codecs.integers import Integer, to_values
from freezelib.codecs.packing import join_nibbles, pack_nibbles
from freezelib.codecs.scratch import Scratch

_FINE = 16  # fine steps in a coarse one
_MIDDLE = 8  # code of a fine rest of zero
_MIDDLE_BYTE = torch.tensor(_MIDDLE, dtype=torch.uint8)


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
        flat, low = self._coarse.grouped(maps.contiguous()), torch.empty_like(coarse.codes)
        step, zero = from_scale(coarse.scale).unsqueeze(2), coarse.zero
        for block in blocks(flat):
            rest = (flat[block] / step[block]).sub_(coarse.codes[block])
            if zero is not None:
                rest.add_(zero[block].unsqueeze(2))
            low[block] = rest.mul_(_FINE).round_().add_(_MIDDLE).clamp_(0, 15)
        planes = self._coarse.packed(coarse)
        return planes | {"low": pack_nibbles(low.flatten(1), planes["codes"].shape[1])}

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        if "low" not in planes:
            self._coarse.dequantise_into(planes, out, scratch)
            return
        flat, zero = by_sample(out), planes.get("zero")
        codes = join_nibbles(planes["codes"], planes["low"], flat.shape[1], scratch)
        if zero is None:
            codes.sub_(_MIDDLE_BYTE)  # nothing is under zero, so neither is this difference
        else:
            zero = zero.float() * _FINE + _MIDDLE
        flat.copy_(codes)
        to_values(self._coarse.grouped(out), from_scale(planes["scale"]) / _FINE, zero)

    def error_bound(self, maps: Tensor) -> Tensor:
        """A fine step: half of one, or a whole where a rest of +8/16 finds no code."""
        return self._coarse.error_bound(maps) * (2 / _FINE)
