"""Two bits with a table of four levels: the coarsest code that a suffix still bears."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, blocks, by_sample, checked
from freezelib.codecs.groups import by_group, from_scale, to_scale
from freezelib.codecs.scratch import Scratch

# Four ascending levels, fitted by Lloyd's algorithm (Lloyd 1982) with one held at zero, for groups
# without negative values (feature maps behind a ReLU) and with them (normal and Laplace samples).
# Codes count upwards from the level zero and wrap around.
_LEVELS = ((0.0, 1.0, 2.25, 4.0), (-2.4, 0.0, 1.6, 4.0))
_TOP = 4.0
_NEGATED = 2  # in the table of a group whose negative side is the longer one
_FINER = range(1, 6)  # scales tried, in steps under the one whose top level is the peak


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
        finest, codes = to_scale(peak / _TOP).int(), torch.empty(flat.shape, dtype=torch.uint8)
        scale = torch.empty_like(table)
        for block in blocks(flat):
            both = (table[block] & 1).long()
            upright = torch.where((table[block] & _NEGATED > 0).unsqueeze(2), -1.0, 1.0)
            upright = upright * flat[block]
            scale[block] = _best_scale(upright, finest[block], torch.tensor(_LEVELS)[both])
            unit = upright.div_(from_scale(scale[block]).unsqueeze(2))
            codes[block] = _nearest(unit, both)
        planes = {"codes": _pack(codes.flatten(1)), "scale": scale}
        return planes | ({"table": table} if table.any() else {})

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        flat = by_sample(out)
        flat.copy_(_unpack(planes["codes"], flat.shape[1], scratch))
        codes, step = _grouped(out), from_scale(planes["scale"]).unsqueeze(2)
        linear, square, cube = _factors(step, planes.get("table"))
        rest = scratch.take("polynomial", tuple(codes.shape), torch.float32, out.device)
        torch.mul(codes, cube, out=rest)
        codes.mul_(rest.add_(square).mul_(codes).add_(linear))

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
    best, least = finest, torch.full(finest.shape, torch.inf)
    for finer in _FINER:
        scale = (finest - finer).clamp_min(0)
        step = from_scale(scale).unsqueeze(2)
        unit = flat / step
        error = torch.full_like(unit, torch.inf)
        for level in levels.split(1, dim=2):
            error = torch.minimum(error, (unit - level).abs_())
        squared = error.mul_(step).square_().sum(2)
        best, least = torch.where(squared < least, scale, best), torch.minimum(squared, least)
    return best.to(torch.uint8)


def _nearest(unit: Tensor, both: Tensor) -> Tensor:
    """Code of the level next to each value."""
    rank = torch.zeros(unit.shape, dtype=torch.uint8)
    for below, above in pairwise(range(4)):
        borders = torch.tensor([(table[below] + table[above]) / 2 for table in _LEVELS])
        rank += unit > borders[both].unsqueeze(2)
    return (rank - both.to(torch.uint8).unsqueeze(2)).bitwise_and_(3)


def _factors(step: Tensor, table: Tensor | None) -> Tensor:
    """Factors of a cubic polynomial that takes the levels at the codes, by power, ``[3, ...]``.

    A polynomial, because torch has no fast table look-up.
    """
    if table is None:
        one, two, three = (step * level for level in _LEVELS[0][1:])
    else:
        kinds = [(*levels[first + 1 :], *levels[:first]) for first, levels in enumerate(_LEVELS)]
        signed = torch.tensor(kinds, device=step.device)[(table & 1).long()]
        signed = signed * torch.where(table & _NEGATED > 0, -1.0, 1.0).unsqueeze(2)
        one, two, three = (step * level for level in signed.split(1, dim=2))
    second, third = two - 2 * one, three - 3 * two + 3 * one  # Newton's forward differences
    return torch.stack([one - second / 2 + third / 3, (second - third) / 2, third / 6])


def _pack(codes: Tensor) -> Tensor:
    """Codes under 4, ``uint8 [n, count]``, into ``uint8 [n, ceil(count / 4)]``, by quarters."""
    quarter = (codes.shape[1] + 3) // 4
    packed = codes.new_zeros(len(codes), quarter)
    for place in range(4):
        part = codes[:, place * quarter : (place + 1) * quarter]
        packed[:, : part.shape[1]] |= part << 2 * place
    return packed


def _unpack(packed: Tensor, count: int, scratch: Scratch) -> Tensor:
    """The codes again, ``uint8 [n, count]`` in a buffer of the scratch."""
    codes = scratch.take("quarters", (len(packed), count), torch.uint8, packed.device)
    quarter = packed.shape[1]
    for place in range(4):
        part = codes[:, place * quarter : (place + 1) * quarter]
        torch.bitwise_right_shift(packed[:, : part.shape[1]], 2 * place, out=part)
    return codes.bitwise_and_(3)
