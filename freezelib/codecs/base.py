"""What a codec is: feature maps to named planes of codes, and back into a caller's buffer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

Planes = Mapping[str, Tensor]


class Codec(Protocol):
    """One way to store float32 feature maps ``[n, C, *positions]``.

    Codes live in named *planes* whose first dimension is the sample, so that any subset of samples
    can be decoded without touching the others. A codec has no state and is thread safe.
    """

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """Planes ``{name: [n, ...]}`` of maps ``float32 [n, C, *positions]``.

        Raises:
            ValueError: A value is not finite, or too large for the codes.
        """
        ...

    def decode_into(self, planes: Planes, rows: Tensor, out: Tensor) -> None:
        """Write the maps of some rows into ``out``, ``float32 [len(rows), C, *positions]``."""
        ...


def require_finite(maps: Tensor) -> None:
    """Refuse what no codec can give back."""
    if not torch.isfinite(maps).all():
        bad = int((~torch.isfinite(maps)).sum())
        raise ValueError(
            f"Feature maps must be finite to be cached, but {bad} of {maps.numel()} values are "
            "not: look for a diverged prefix or an overflow in its input."
        )
