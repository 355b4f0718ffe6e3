"""Floating-point storage: exact, or rounded to half precision."""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.codecs.base import Planes, require_finite


class Float:
    """Maps stored in a floating-point type of their own."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        require_finite(maps)
        limit = torch.finfo(self._dtype).max
        if (peak := float(maps.abs().max()) if maps.numel() else 0.0) > limit:
            raise ValueError(
                f"|value| <= {limit:g} must hold for {self._dtype}, but the maps reach {peak:g}: "
                "take raw or int8."
            )
        return {"values": maps.to(self._dtype)}

    def decode_into(self, planes: Planes, rows: Tensor, out: Tensor) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        values = planes["values"]
        if values.dtype == out.dtype:
            torch.index_select(values, 0, rows, out=out)
        else:
            out.copy_(values.index_select(0, rows))
