"""What a codec is: feature maps to named planes of codes, and back into a caller's buffer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from freezelib.codecs.scratch import Scratch

Planes = Mapping[str, Tensor]
_BLOCK_VALUES = 1 << 16


class Codec(ABC):
    """One way to store float32 feature maps ``[n, C, *positions]``.

    Codes live in named *planes* whose first dimension is the sample, so that any subset of samples
    can be decoded without touching the others. A codec has no state and is thread safe.

    Attributes:
        detachable: Planes that may be missing at the decoder, at the price of a larger error.
    """

    detachable: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """Planes ``{name: [n, ...]}`` of maps ``float32 [n, C, *positions]``.

        Raises:
            ValueError: A value is not finite, or too large for the codes.
        """

    @abstractmethod
    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """Write the maps of all rows into ``out``, ``float32 [n, C, *positions]``.

        Planes and ``out`` are on one device, which need not be the CPU.
        """

    @abstractmethod
    def error_bound(self, maps: Tensor) -> Tensor:
        """Largest error of each value of some maps, as a tensor that broadcasts against them."""

    def unpack(self, planes: Planes, map_shape: tuple[int, ...]) -> Planes:
        """Planes that can be gathered row by row.

        Stored planes are that already, but for the archive codecs: they store one stream per
        chunk, which is decoded here.
        """
        return planes

    def decode_into(
        self, planes: Planes, rows: Tensor, out: Tensor, scratch: Scratch | None = None
    ) -> None:
        """Write the maps of some rows into ``out``, ``float32 [len(rows), C, *positions]``.

        Args:
            planes: Unpacked.
            rows: ``int64 [m]``, in any order and with repetitions.
            out: The caller's, contiguous.
            scratch: Of the calling thread; without it memory is allocated.
        """
        scratch = scratch or Scratch()
        self.dequantise_into(gather(planes, rows, scratch), out, scratch)


def gather(planes: Planes, rows: Tensor, scratch: Scratch) -> dict[str, Tensor]:
    """Some rows of each plane, in buffers of the scratch."""
    gathered = {}
    for name, plane in planes.items():
        shape = (len(rows), *plane.shape[1:])
        out = scratch.take(f"gathered {name}", shape, plane.dtype, plane.device)
        gathered[name] = torch.index_select(plane, 0, rows, out=out)
    return gathered


def checked(maps: Tensor) -> Tensor:
    """Maps that are fit to be encoded, contiguous.

    Raises:
        ValueError: They are not float32, or a value is not finite.
    """
    if maps.dtype != torch.float32:
        raise ValueError(f"Feature maps must be float32 to be cached, but got {maps.dtype}.")
    maps = maps.contiguous()
    # NaN and infinities reach either end, and no copy as large as the maps has to be made.
    if maps.numel() and not all(torch.isfinite(end) for end in torch.aminmax(maps)):
        bad = int((~torch.isfinite(maps)).sum())
        raise ValueError(
            f"Feature maps must be finite to be cached, but {bad} of {maps.numel()} values are "
            "not: look for a diverged prefix or an overflow in its input."
        )
    return maps


def by_sample(maps: Tensor) -> Tensor:
    """Contiguous maps ``[n, C, *positions]`` seen as ``[n, values]``."""
    assert maps.is_contiguous(), "a copy would be written in place of the maps"
    return maps.flatten(1)


def blocks(values: Tensor) -> Iterator[slice]:
    """Rows at a time of a contiguous tensor, so few that temporaries stay in a core's cache."""
    rows = max(1, _BLOCK_VALUES // max(1, values[:1].numel()))
    return (slice(first, first + rows) for first in range(0, len(values), rows))
