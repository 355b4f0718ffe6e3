"""Two bits with a table of four levels: the coarsest code that a suffix still bears."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, blocks, by_sample, checked
from freezelib.codecs.groups import by_group, from_scale, to_scale
from freezelib.codecs.packing import pack_pairs, unpack_pairs
from freezelib.codecs.scratch import Scratch

# Four ascending levels, fitted by Lloyd's algorithm (Lloyd 1982) with one held at zero, for groups
# without negative values (feature maps behind a ReLU) and with them (normal and Laplace samples).
# Codes count upwards from the level zero and wrap around.
_LEVELS = ((0.0, 1.0, 2.25, 4.0), (-2.5, 0.0, 1.5, 4.0))
_NEGATED = 2  # in the table of a group whose negative side is the longer one
_FINER = range(1, 6)  # scales tried, in steps under the one whose top level is the peak

# torch has no fast table look-up, but c * (f + c * (g + c * h)), modulo 256 and with a sign, takes
# eight times the levels at the codes c. Per entry of the table: f, g, h.
_FACTORS = torch.tensor(
    [[221, 0, 43], [152, 44, 72], [35, 0, 213], [104, 212, 184]], dtype=torch.uint8
)
_EIGHTH = torch.tensor(1 / 8)


class Lloyd(Codec):
    """``value = level[code] * scale`` with two bits per value, zero as level of code 0.

    The scale of a group of 64 to 128 values is the one of a few with the least squared error; it
    lies under the peak of the group, because a high peak stands alone. Planes: ``codes uint8 [n,
    ceil(C * P / 4)]``, the four quarters of a sample in a byte; ``scale uint8 [n, g]``
    (:mod:`~freezelib.codecs.groups`); where a value is negative, ``table uint8 [n, g]``: bit 0 for
    a group with both signs, bit 1 for one that is negated.
    """

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        flat = _grouped(checked(maps))
        peak, table = _peak_and_table(flat)
        finest = to_scale(peak / _LEVELS[0][-1]).int()
        codes, scale = torch.empty(flat.shape, dtype=torch.uint8), torch.empty_like(table)
        for block in blocks(flat):
            both, negated = (table[block] & 1).long(), (table[block] & _NEGATED).bool()
            upright = flat[block] * torch.where(negated, -1.0, 1.0).unsqueeze(2)
            scale[block] = _best_scale(upright, finest[block], torch.tensor(_LEVELS)[both])
            unit = upright.div_(from_scale(scale[block]).unsqueeze(2))
            codes[block] = _nearest(unit, both)
        planes = {"codes": pack_pairs(codes.flatten(1)), "scale": scale}
        return planes | ({"table": table} if table.any() else {})

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        flat = by_sample(out)
        codes = unpack_pairs(planes["codes"], flat.shape[1], scratch)
        grouped = _grouped(codes.view(out.shape))
        levels = scratch.take("levels", tuple(codes.shape), torch.uint8, codes.device)
        first, second, third = _factors(planes.get("table"), out.device)
        torch.mul(grouped, third, out=levels.view(grouped.shape))
        grouped.mul_(levels.view(grouped.shape).add_(second).mul_(grouped).add_(first))
        flat.copy_(codes.view(torch.int8))
        _grouped(out).mul_(from_scale(planes["scale"]).mul_(_EIGHTH).unsqueeze(2))

    def error_bound(self, maps: Tensor) -> Tensor:
        """No level is farther from a value than the level zero."""
        return maps.abs() * 1.0001


def _grouped(maps: Tensor) -> Tensor:
    return by_group(maps, least=64, most=128)


def _peak_and_table(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Largest magnitude, and which levels to use with which sign, of each group."""
    if flat.shape[2] == 0:
        return flat.new_zeros(flat.shape[:2]), torch.zeros(flat.shape[:2], dtype=torch.uint8)
    low, high = torch.aminmax(flat, dim=2)
    both, negated = (low < 0) & (high > 0), -low > high
    return torch.maximum(-low, high), both.to(torch.uint8) + _NEGATED * negated.to(torch.uint8)


def _best_scale(flat: Tensor, finest: Tensor, levels: Tensor) -> Tensor:
    """The scale with the least squared error of each group, of those that are tried."""
    best, least = finest.to(torch.uint8), torch.full(finest.shape, torch.inf)
    for finer in _FINER:
        scale = (finest - finer).clamp_min(0).to(torch.uint8)
        step = from_scale(scale).unsqueeze(2)
        unit = flat / step
        error = torch.full_like(unit, torch.inf)
        for level in levels.split(1, dim=2):
            error = torch.minimum(error, (unit - level).abs_())
        squared = error.mul_(step).square_().sum(2)
        best, least = torch.where(squared < least, scale, best), torch.minimum(squared, least)
    return best


def _nearest(unit: Tensor, both: Tensor) -> Tensor:
    """Code of the level next to each value."""
    rank = torch.zeros(unit.shape, dtype=torch.uint8)
    for below, above in pairwise(range(4)):
        borders = torch.tensor([(table[below] + table[above]) / 2 for table in _LEVELS])
        rank += unit > borders[both].unsqueeze(2)
    return (rank - both.to(torch.uint8).unsqueeze(2)).bitwise_and_(3)


def _factors(table: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Factors of the polynomial: for all groups alike, or ``[n, g, 1]``."""
    if table is None:
        first, second, third = _FACTORS[0].unbind()
    else:
        first, second, third = _FACTORS.to(device)[table.long()].unsqueeze(3).unbind(2)
    return first, second, third
