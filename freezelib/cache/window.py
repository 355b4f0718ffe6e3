"""Chunks side by side in memory, and the batches that are decoded from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment import Draws, View, correct_maps, map_shifts, shift_maps
from freezelib.cache.chunk import ChunkData, stored_view
from freezelib.cache.pieces import Pieces
from freezelib.codecs.base import Codec
from freezelib.codecs.scratch import Scratch

if TYPE_CHECKING:
    from freezelib.cache.feature_cache import FeatureCache


class CachedWindow:
    """The samples of some chunks, decoded on demand.

    Rows count through the chunks; those of further stored views follow.

    Args:
        chunks: What lies in the window.
        cache: Whose chunks they are.
        codec: The cache's.
    """

    def __init__(self, chunks: list[ChunkData], cache: FeatureCache, codec: Codec) -> None:
        self.sample_ids: NDArray[np.int64] = np.concatenate([c.sample_ids for c in chunks])
        self.labels = torch.cat([chunk.labels for chunk in chunks])
        self._cache, self._codec = cache, codec
        shape = cache.sample_shape
        self._base = Pieces(
            [
                codec.unpack(chunk.planes[stored_view(copy)], shape)
                for copy in range(cache.stored_views)
                for chunk in chunks
            ]
        )
        self._extra: dict[str, Pieces] = {}
        for name, channels in cache.manifest.sensitive.items():
            if channels:
                part = (len(channels), *shape[1:])
                planes = [codec.unpack(chunk.planes[name], part) for chunk in chunks]
                self._extra[name] = Pieces(planes)

    def read_into(
        self, rows: NDArray[np.int64], draws: Draws, out: Tensor, scratch: Scratch
    ) -> None:
        """Write the feature maps of some rows into a batch, each augmented as drawn.

        A sample under a view is the counterpart of the view applied to its base map, corrected
        where the cache has a corrector, with the sensitive channels replaced by their true, cached
        values; then its shift. With stored views it is the stored one, and nothing else.

        Args:
            rows: Rows of this window, ``[n]``.
            draws: What is to be done to each of them.
            out: ``float32 [n, *map_shape]``; codes are dequantised on its device.
            scratch: Of the calling thread.
        """
        if draws.idle:
            self.decode_into(0, rows, out, scratch)
            return
        if self._cache.stored_views > 1:
            self._decode(self._base, rows + draws.copies * len(self.labels), out, scratch)
            return
        self.decode_into(0, rows, out, scratch)
        for number, view in enumerate(self._cache.views, start=1):
            taken = np.flatnonzero(draws.views == number)
            if len(taken):
                where = torch.from_numpy(taken).to(out.device)
                out[where] = self._under(view, rows[taken], out[where], scratch)
        if draws.shifts.any():
            stride = self._cache.manifest.image_shape[-1] // out.shape[-1]
            out.copy_(shift_maps(out, map_shifts(draws.shifts, stride)))

    def decode_into(
        self, number: int, rows: NDArray[np.int64], out: Tensor, scratch: Scratch
    ) -> None:
        """Write the ``number``-th stored view of some rows, without any augmentation."""
        self._decode(self._base, rows + number * len(self.labels), out, scratch)

    def _under(
        self, view: View, rows: NDArray[np.int64], base: Tensor, scratch: Scratch
    ) -> Tensor:
        channels = self._cache.manifest.sensitive[view.name]
        if self._cache.whole_views:  # nothing of the base map is left
            whole = torch.empty_like(base)
            self._decode(self._extra[view.name], rows, whole, scratch)
            return whole
        maps = view.counterpart(base)
        if (corrector := self._cache.manifest.corrector(view.name)) is not None:
            maps = correct_maps(maps, corrector.to(maps.device))
        if channels:
            extra = torch.empty(len(rows), len(channels), *base.shape[2:], device=base.device)
            self._decode(self._extra[view.name], rows, extra, scratch)
            maps[:, channels] = extra
        return maps

    def _decode(
        self, pieces: Pieces, rows: NDArray[np.int64], out: Tensor, scratch: Scratch
    ) -> None:
        on_cpu = out.device.type == "cpu"
        if on_cpu and pieces.holds(out.dtype):
            pieces.gather(rows, scratch, values=out)
            return
        codes = pieces.gather(rows, scratch)
        if not on_cpu:  # an eighth of the bytes crosses the bus
            codes = {name: plane.to(out.device) for name, plane in codes.items()}
        self._codec.dequantise_into(codes, out, scratch)
