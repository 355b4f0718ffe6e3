"""Reading a cache: verified chunks, decoded into the caller's batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment import View, get_view
from freezelib.cache.chunk import BASE, ChunkData, deserialise, from_table
from freezelib.cache.errors import DamagedChunkError
from freezelib.cache.manifest import Manifest
from freezelib.codecs import get_codec
from freezelib.codecs.base import Codec

ReadTable = Callable[[int], pa.Table]


class FeatureCache:
    """A committed cache, as a source of samples for a :class:`~freezelib.loader.CacheLoader`.

    Args:
        folder: The cache's folder.
        manifest: What it holds.
        read_table: Where chunks come from; by default their files, mapped into memory and verified
            against their checksums at the first touch. A sweep hands in its shared memory.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, read_table: ReadTable | None = None
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.views: tuple[View, ...] = tuple(get_view(v) for v in manifest.recipe["views"])
        self._codec = get_codec(manifest.recipe["codec"])
        self._read_table = read_table or self.read_verified
        self._verified: set[int] = set()

    @classmethod
    def open(cls, folder: Path) -> FeatureCache:
        """The cache in a folder.

        Raises:
            ManifestError: No cache was committed there, or it cannot be read.
        """
        return cls(folder, Manifest.read(folder))

    @property
    def num_chunks(self) -> int:
        """Chunks in the cache."""
        return len(self.manifest.chunks)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample's feature map."""
        return self.manifest.map_shape

    def chunk(self, number: int) -> CachedChunk:
        """One chunk, ready to decode samples from.

        Raises:
            DamagedChunkError: The file is missing or does not have the bytes that were written.
        """
        data = from_table(self._read_table(number))
        return CachedChunk(data, self._codec, self.views, self.manifest.sensitive)

    def read_verified(self, number: int) -> pa.Table:
        """The table of a chunk's file, whose checksum is verified at the first touch."""
        entry = self.manifest.chunks[number]
        path = self.folder / entry.file
        try:
            data = pa.memory_map(str(path)).read_buffer()
        except OSError as error:
            raise DamagedChunkError(path, f"cannot be read ({error}).") from error
        if number not in self._verified:
            if data.size != entry.size_bytes:
                raise DamagedChunkError(
                    path, f"must have {entry.size_bytes} bytes, but has {data.size}."
                )
            if (found := xxhash.xxh3_128(data).hexdigest()) != entry.xxh3_128:
                raise DamagedChunkError(
                    path, f"must have xxh3-128 {entry.xxh3_128}, but has {found}."
                )
            self._verified.add(number)
        return deserialise(data)

    def damaged_chunks(self) -> list[DamagedChunkError]:
        """Every chunk that is not what was written, with the reason."""
        self._verified.clear()
        damaged = []
        for number in range(self.num_chunks):
            try:
                self.read_verified(number)
            except DamagedChunkError as error:
                damaged.append(error)
        return damaged


class CachedChunk:
    """The samples of one chunk, decoded on demand."""

    def __init__(
        self,
        data: ChunkData,
        codec: Codec,
        views: tuple[View, ...],
        sensitive: dict[str, list[int]],
    ) -> None:
        self.sample_ids = data.sample_ids
        self.labels = data.labels
        self._planes, self._codec = data.planes, codec
        self._views, self._sensitive = views, sensitive

    def read_into(self, rows: NDArray[np.int64], views: NDArray[np.int64], out: Tensor) -> None:
        """Write the feature maps of some rows into a batch.

        A sample under a view is the counterpart of the view applied to its base map, with the
        sensitive channels replaced by their true, cached values.

        Args:
            rows: Rows of this chunk, ``[n]``.
            views: The view that each of them takes; 0 for none, ``v`` for the ``v``-th.
            out: ``float32 [n, *map_shape]``.
        """
        self._codec.decode_into(self._planes[BASE], torch.from_numpy(rows), out)
        for number, view in enumerate(self._views, start=1):
            taken = np.flatnonzero(views == number)
            if len(taken):
                where = torch.from_numpy(taken)
                out[where] = self._under_view(view, rows[taken], out[where])

    def _under_view(self, view: View, rows: NDArray[np.int64], base: Tensor) -> Tensor:
        maps = view.apply(base)
        if channels := self._sensitive[view.name]:
            extra = torch.empty(len(rows), len(channels), *base.shape[2:])
            self._codec.decode_into(self._planes[view.name], torch.from_numpy(rows), extra)
            maps[:, channels] = extra
        return maps
