"""The error of a codec on the maps that it stores."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from freezelib.cache.journal import Finished, Sums
from freezelib.cache.manifest import ChunkEntry
from freezelib.codecs.base import Codec, Planes


class CodecError:
    """Sums over the exact maps of one chunk and what the codec makes of them.

    Attributes:
        map_shape: Shape of one sample's map.
        whole: Count, sum and sum of squares of the exact values, and sum of squared errors.
        stepped: The same without the detachable planes.
    """

    def __init__(self, exact: Tensor, planes: Planes, codec: Codec) -> None:
        self.map_shape = tuple(exact.shape[1:])
        self.whole = self.stepped = self._sums(exact, planes, codec)
        if codec.detachable:
            kept = {name: p for name, p in planes.items() if name not in codec.detachable}
            self.stepped = self._sums(exact, kept, codec)

    def finished(self, entry: ChunkEntry, *, wall_s: float) -> Finished:
        """The chunk's line in the journal."""
        return Finished(entry=entry, error=self.whole, stepped_error=self.stepped, wall_s=wall_s)

    def _sums(self, exact: Tensor, planes: Planes, codec: Codec) -> Sums:
        decoded = torch.empty_like(exact)
        unpacked = codec.unpack(planes, self.map_shape)
        codec.decode_into(unpacked, torch.arange(len(exact)), decoded)
        return (
            float(exact.numel()),
            float(exact.sum(dtype=torch.float64)),
            float(exact.square().sum(dtype=torch.float64)),
            float((exact - decoded).square_().sum(dtype=torch.float64)),
        )


def nrmse(chunks: Iterable[Sums]) -> float:
    """Root mean square error over the standard deviation of the maps, over all chunks."""
    count, total, square, error = (sum(sums) for sums in zip(*chunks, strict=True))
    variance = square / count - (total / count) ** 2
    return (error / count / max(variance, 1e-30)) ** 0.5
