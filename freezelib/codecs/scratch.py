"""Buffers that are made once and used again.

Fresh memory costs more than the arithmetic that fills it: the kernel clears each page at its first
touch, which halves the speed of a decode loop that allocates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Named buffers that grow and never shrink. One per thread: it is not locked."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
    ) -> Tensor:
        """A tensor of a shape with whatever values it holds; the next ``take`` hands it out again.

        Args:
            name: Buffers of other names, types or devices do not overlap.
            shape: Of the tensor.
            dtype: Of the tensor.
            device: Of the tensor.
        """
        key, size = (name, dtype, torch.device(device)), math.prod(shape)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[key] = torch.empty(size, dtype=dtype, device=device)
        return buffer[:size].view(shape)
