"""Which values share a scale, and the byte that such a scale is stored in.

Values that share a scale are neighbours: a whole map of one channel; a band of it where the map
is large and the codes are short, because the error follows the largest value of the group; some
whole maps where they are so small that scales would outweigh the codes.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

# A scale is a float of 8 bits: 5 of exponent, 3 of mantissa, no sign, from 2^-17 to 1.875 * 2^14.
_MANTISSA_SHIFT = 23 - 3
_FIRST = (127 - 17) << 3
_LARGEST = 1.875 * 2.0**14
_ZERO_BITS = torch.tensor(_FIRST << _MANTISSA_SHIFT, dtype=torch.int32)


def by_group(maps: Tensor, *, least: int, most: int) -> Tensor:
    """Contiguous maps ``[n, C, *positions]`` seen as ``[n, groups, values]``.

    Args:
        maps: Or codes of that shape.
        least: Values in a group, if the channels can be divided so.
        most: Values in a band, if the positions can be divided so.
    """
    samples, channels, *positions = maps.shape
    size = _group_size(channels, math.prod(positions), least, most)
    return maps.view(samples, channels * math.prod(positions) // max(1, size), size)


def to_scale(step: Tensor) -> Tensor:
    """The smallest scales, ``uint8``, that are not smaller than some steps.

    Raises:
        ValueError: A step is too large.
    """
    if step.numel() and (peak := float(step.max())) > _LARGEST:
        raise ValueError(
            f"A step <= {_LARGEST:g} must hold between two codes, but these maps need {peak:g}: "
            "take raw."
        )
    bits = step.contiguous().view(torch.int32) + ((1 << _MANTISSA_SHIFT) - 1)
    return (bits >> _MANTISSA_SHIFT).sub_(_FIRST).clamp_(0, 255).to(torch.uint8)


def from_scale(scale: Tensor) -> Tensor:
    """The steps, ``float32``, of some scales, ``uint8``."""
    return torch.add(_ZERO_BITS, scale.int(), alpha=1 << _MANTISSA_SHIFT).view(torch.float32)


@cache
def _group_size(channels: int, positions: int, least: int, most: int) -> int:
    if positions > most:
        bands = (size for size in range(most, most // 2 - 1, -1) if positions % size == 0)
        return next(bands, positions)
    for merged in range(1, channels):
        if channels % merged == 0 and merged * positions >= least:
            return merged * positions
    return channels * positions
