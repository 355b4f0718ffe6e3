"""Integer codes with a scale per sample and channel, or finer.

The granularity of the scale matters more than the quantiser: at four bits, a scale per channel of
the whole set has more than twice the error of one per sample and channel. Zero is a code of its
own, so the zeros behind a ReLU come back as zeros.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, blocks, by_sample, checked
from freezelib.codecs.groups import by_group, from_scale, to_scale
from freezelib.codecs.packing import pack_nibbles, spread_nibbles
from freezelib.codecs.scratch import Scratch

_ANY_NUMBER = 1 << 62
_SIXTEENTH = torch.tensor(1 / 16)


class Quantised(NamedTuple):
    """Codes ``uint8 [n, g, values]``, and per group their scale and zero, ``uint8 [n, g]``.

    There is no zero where no value is negative.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor | None


class Integer(Codec):
    """``value = (code - zero) * scale`` with unsigned codes of 8, 7 or 4 bits.

    Eight bits have a scale per sample and channel. So have seven, which lie in bytes as well and
    are for a coder: codes of half as many levels repeat more often. Four bits have a scale for
    each band of at most 64 positions, which takes a quarter off the error of maps of 28 x 28 for
    3 % more bytes. Planes: ``codes uint8``, ``[n, C * P]`` or two in a byte
    (:mod:`~freezelib.codecs.packing`); ``scale uint8 [n, g]`` (:mod:`~freezelib.codecs.groups`);
    for maps with negative values ``zero uint8 [n, g]``.

    Args:
        bits: Of a code.
        by_columns: Whether the codes of a map run down its columns, where things that stand
            upright repeat more often than along the rows. Not for four bits.
    """

    def __init__(self, bits: int, *, by_columns: bool = False) -> None:
        assert bits in (7, 8) or (bits == 4 and not by_columns)
        self.bits, self.by_columns, self._levels = bits, by_columns, 2**bits - 1
        self._sizes = (32, 64) if bits == 4 else (16, _ANY_NUMBER)

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        return self.packed(self.quantise(turned(maps) if self.by_columns else maps))

    def quantise(self, maps: Tensor) -> Quantised:
        """Round maps to codes, before they are packed."""
        flat = self.grouped(checked(maps))
        scale, zero = _scale_and_zero(flat, self._levels)
        step, codes = from_scale(scale).unsqueeze(2), torch.empty(flat.shape, dtype=torch.uint8)
        for block in blocks(flat):
            quotients = (flat[block] / step[block]).round_()
            if zero is not None:
                quotients.add_(zero[block].unsqueeze(2))
            codes[block] = quotients.clamp_(0, self._levels)
        return Quantised(codes, scale, None if zero is None else zero.to(torch.uint8))

    def packed(self, quantised: Quantised) -> dict[str, Tensor]:
        """The planes of some codes."""
        codes, size = quantised.codes.flatten(1), quantised.codes.shape[2]
        if self.bits == 4:
            codes = pack_nibbles(codes, low_groups(quantised.scale) * size)
        planes = {"codes": codes, "scale": quantised.scale}
        return planes if quantised.zero is None else {**planes, "zero": quantised.zero}

    def grouped(self, maps: Tensor) -> Tensor:
        """Maps, or codes of their shape, by what shares a scale: ``[n, g, values]``."""
        least, most = self._sizes
        return by_group(maps, least=least, most=most)

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        flat, codes, step = by_sample(out), planes["codes"], from_scale(planes["scale"])
        zero = planes["zero"].float() if "zero" in planes else None
        if self.bits == 4:
            codes, first = spread_nibbles(codes, flat.shape[1], scratch), low_groups(step)
            step[:, first:].mul_(_SIXTEENTH)
            if zero is not None:
                zero[:, first:].mul_(16)
        if self.by_columns:
            turned(out).copy_(codes.view(turned(out).shape))
        else:
            flat.copy_(codes)
        to_values(self.grouped(out), step, zero)

    def error_bound(self, maps: Tensor) -> Tensor:
        """Half a step."""
        flat = self.grouped(maps.contiguous())
        step = from_scale(_scale_and_zero(flat, self._levels)[0])
        return (step * 0.5001).unsqueeze(2).expand(flat.shape).reshape(maps.shape)


def turned(maps: Tensor) -> Tensor:
    """Maps ``[n, C, *positions]`` with rows and columns exchanged, if they have both."""
    return maps.mT if maps.ndim > 3 else maps


def low_groups(scale: Tensor) -> int:
    """How many of the groups, of scales ``[n, g]``, have their four-bit codes in low nibbles."""
    return (scale.shape[1] + 1) // 2


def to_values(codes: Tensor, step: Tensor, zero: Tensor | None) -> None:
    """Turn float codes ``[n, g, values]`` into values, in place; step and zero are ``[n, g]``."""
    if zero is not None:
        codes.sub_(zero.unsqueeze(2))
    codes.mul_(step.unsqueeze(2))


def _scale_and_zero(flat: Tensor, levels: int) -> tuple[Tensor, Tensor | None]:
    """Scale ``uint8`` and zero ``float32`` (None: no value is negative), ``[n, g]``, of groups.

    A scale may leave half a step beyond the last code. It does so at one end where no value is
    negative; else the rounding of zero to a code uses that half up.
    """
    if flat.shape[2] == 0:
        low = high = flat.new_zeros(flat.shape[:2])
    else:
        low, high = torch.aminmax(flat, dim=2)
        low, high = low.clamp_max(0), high.clamp_min(0)
    scale = to_scale((high - low) / (levels + 0.5 * (low == 0)))
    return scale, (-low / from_scale(scale)).round_() if (low < 0).any() else None
