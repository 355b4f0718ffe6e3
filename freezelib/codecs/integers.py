"""Integer codes with one scale per sample and channel.

The granularity of the scale matters more than the quantiser: at four bits, a scale per channel of
the whole set has more than twice the error of one per sample and channel. Zero is a code of its
own, so the zeros behind a ReLU come back as zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.base import Planes, require_finite

_SMALLEST_SCALE = 2.0**-14  # the smallest normal float16; a dead map must not divide by zero


class Integer:
    """``value = (code - zero) * scale`` with unsigned codes of 8 or 4 bits.

    Planes: ``codes uint8 [n, C, P]`` (at 4 bits ``[n, C, ceil(P / 2)]``: the low nibbles are the
    first half of the map and the high nibbles the second, so both halves decode as straight
    loops), ``scale float16 [n, C]``, and for maps with negative values ``zero uint8 [n, C]``. The
    error of a value is at most half a scale.
    """

    def __init__(self, bits: int) -> None:
        assert bits in (4, 8)
        self._bits = bits

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        require_finite(maps)
        flat = maps.flatten(2)
        low = flat.amin(2).clamp_max(0)
        high = flat.amax(2).clamp_min(0)
        # A signed map gives one level away, because its zero is rounded to a code as well.
        levels = (2**self._bits - 1) - (low < 0).float()
        # Rounding the scale to float16 moves the highest code by an eighth: it never overflows.
        scale = ((high - low) / levels).clamp_min(_SMALLEST_SCALE).half()
        if not torch.isfinite(scale).all():
            raise ValueError(
                f"The range of a map must stay under {65504 * levels.max():g} to have a float16 "
                f"scale, but one spans {float((high - low).max()):g}: take raw."
            )
        step = scale.float().unsqueeze(2)
        zero = (-low.unsqueeze(2) / step).round_()
        codes = (flat / step).round_().add_(zero).to(torch.uint8)
        planes = {"codes": codes if self._bits == 8 else _pack(codes), "scale": scale}
        if zero.any():
            planes["zero"] = zero.squeeze(2).to(torch.uint8)
        return planes

    def decode_into(self, planes: Planes, rows: Tensor, out: Tensor) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        flat = out.flatten(2)
        codes = planes["codes"].index_select(0, rows)
        if self._bits == 8:
            flat.copy_(codes)
        else:
            half = codes.shape[2]
            flat[:, :, :half].copy_(codes & 15)
            flat[:, :, half:].copy_((codes >> 4)[:, :, : flat.shape[2] - half])
        if "zero" in planes:
            flat.sub_(planes["zero"].index_select(0, rows).unsqueeze(2))
        flat.mul_(planes["scale"].index_select(0, rows).unsqueeze(2))


def _pack(codes: Tensor) -> Tensor:
    half = (codes.shape[2] + 1) // 2
    packed = codes[:, :, :half].clone()
    packed[:, :, : codes.shape[2] - half] |= codes[:, :, half:] << 4
    return packed
