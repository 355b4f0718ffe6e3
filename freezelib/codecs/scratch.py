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
        self._taken: dict[tuple[object, ...], Tensor] = {}

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
        request = (name, shape, dtype, device)
        taken = self._taken.get(request)
        if taken is None:
            buffer = self._large_enough(name, math.prod(shape), dtype, torch.device(device))
            taken = self._taken[request] = buffer[: math.prod(shape)].view(shape)
        return taken

    def _large_enough(
        self, name: str, size: int, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        key = (name, dtype, device)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < size:
            self._taken.clear()  # among them are parts of the buffer that is replaced
            buffer = self._buffers[key] = torch.empty(size, dtype=dtype, device=device)
        return buffer
