"""Floating-point storage: exact, or rounded to half precision."""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, checked
from freezelib.codecs.scratch import Scratch


class Float(Codec):
    """Maps stored in a floating-point type of their own.

    Args:
        dtype: float32 is exact; float16 has 11 significant bits, bfloat16 has 8.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        values = checked(maps).to(self._dtype)
        if not torch.isfinite(values).all():
            limit, peak = torch.finfo(self._dtype).max, float(maps.abs().max())
            raise ValueError(
                f"|value| <= {limit:g} must hold for {self._dtype}, but the maps reach {peak:g}: "
                "take raw."
            )
        return {"values": values}

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        out.copy_(planes["values"])

    def decode_into(
        self, planes: Planes, rows: Tensor, out: Tensor, scratch: Scratch | None = None
    ) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        if planes["values"].dtype == out.dtype:  # one pass instead of two
            torch.index_select(planes["values"], 0, rows, out=out)
        else:
            super().decode_into(planes, rows, out, scratch)

    def error_bound(self, maps: Tensor) -> Tensor:
        """Half a unit in the last place, or half the smallest subnormal."""
        if self._dtype == torch.float32:
            return torch.zeros(())
        kind = torch.finfo(self._dtype)
        return torch.maximum(maps.abs() * kind.eps / 2, torch.tensor(kind.tiny * kind.eps / 2))
