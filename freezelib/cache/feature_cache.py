"""Reading a cache: verified chunks, side by side in a window that batches are decoded from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from freezelib.augment import Augmentation, View, get_view
from freezelib.cache.chunk import ChunkData, deserialise, from_table, joined
from freezelib.cache.errors import DamagedChunkError
from freezelib.cache.files import map_known
from freezelib.cache.lease import ReadLease
from freezelib.cache.manifest import Manifest
from freezelib.cache.recipe import CacheRecipe
from freezelib.cache.window import CachedWindow
from freezelib.codecs import get_codec

ReadTable = Callable[[int], pa.Table]
Repair = Callable[[DamagedChunkError, int], Manifest]


class FeatureCache:
    """A committed cache, as a source of samples for a :class:`~freezelib.loader.CacheLoader`.

    Args:
        folder: The cache's folder.
        manifest: What it holds.
        read_table: Where chunks come from; by default their files, mapped into memory and verified
            against their checksums at the first touch. A sweep hands in its shared memory.
        repair: Makes a damaged chunk anew; without it the damage is raised.
        lease: Keeps the cache from being evicted for as long as this object lives.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        read_table: ReadTable | None = None,
        repair: Repair | None = None,
        lease: ReadLease | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.recipe = CacheRecipe.from_json(manifest.recipe)
        stored = self.recipe.stored_views > 1
        self.views: tuple[View, ...] = () if stored else tuple(map(get_view, self.recipe.views))
        self._codec = get_codec(self.recipe.codec)
        self._read_table = read_table  # no bound method of its own: a cycle would hold the lease
        self._repair, self._lease = repair, lease
        self._verified: set[int] = set()
        self._mapped: dict[int, ChunkData] = {}

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
    def chunk_sizes(self) -> tuple[int, ...]:
        """Samples in each chunk."""
        return tuple(chunk.rows for chunk in self.manifest.chunks)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample's feature map."""
        return self.manifest.map_shape

    @property
    def stored_views(self) -> int:
        """Maps per sample."""
        return self.recipe.stored_views

    def require(self, augmentation: Augmentation) -> None:
        """Refuse an augmentation that the cached maps cannot follow, or that is not cached.

        Raises:
            ValueError: It is unsupported at this cut, or its views (and, where augmented maps are
                stored, the rest of how the images were moved) are not those of the cache.
        """
        if self.stored_views > 1:
            moves = ("views", "view_probability", "shift_pixels")
            asked, stored = ([getattr(x, m) for m in moves] for x in (augmentation, self.recipe))
            if asked != stored:
                raise ValueError(
                    f"{', '.join(moves)} must be those of the images whose maps are stored, "
                    f"{stored}, but are {asked}: build the cache with them."
                )
            return
        if augmentation.views != self.recipe.views:
            raise ValueError(
                f"A cache serves the views that it was built with, {self.recipe.views}, but "
                f"got {augmentation.views}: build it with them."
            )
        augmentation.require_supported(
            image_shape=self.manifest.image_shape,
            map_shape=self.sample_shape,
            whole_views=self.whole_views,
        )

    @property
    def whole_views(self) -> bool:
        """Whether every channel is cached under every view."""
        return all(len(c) == self.sample_shape[0] for c in self.manifest.sensitive.values())

    def window(
        self, numbers: Sequence[int], augmentation: Augmentation | None = None
    ) -> CachedWindow:
        """Some chunks side by side, ready to decode samples from.

        Args:
            numbers: Of the chunks.
            augmentation: What :meth:`require` allowed; its views are the cache's own.

        Raises:
            DamagedChunkError: A file is missing or does not have the bytes that were written, and
                cannot be made anew.
        """
        return CachedWindow([self._chunk(n) for n in numbers], self, self._codec)

    def compile_decoding(self, batch_size: int) -> None:
        """Have whole batches of this size decoded by a compiled loop, to the same bits.

        It pays for large batches and takes seconds to make; see
        :class:`~freezelib.codecs.compiled.Compiled`.

        Raises:
            ValueError: There is no loop for this codec.
        """
        from freezelib.codecs.compiled import Compiled

        self._codec = Compiled(
            get_codec(self.recipe.codec), shape=(batch_size, *self.sample_shape)
        )

    def read_verified(self, number: int) -> pa.Table:
        """The table of a chunk's files, whose checksums are verified at the first touch."""
        verify = number not in self._verified
        try:
            needed, *spare = (
                deserialise(map_known(self.folder, entry, verify=verify))
                for entry in self.manifest.chunks[number].files
            )
        except DamagedChunkError as error:
            if self._repair is None:
                raise
            self.manifest = self._repair(error, number)
            self._repair, again = None, self._repair  # what was made anew must be sound
            try:
                return self.read_verified(number)
            finally:
                self._repair = again
        self._verified.add(number)
        return joined(needed, *spare) if spare else needed

    def damaged_chunks(self) -> list[DamagedChunkError]:
        """Every chunk that is not what was written, with the reason."""
        damaged = []
        for chunk in self.manifest.chunks:
            for entry in chunk.files:
                try:
                    map_known(self.folder, entry, verify=True)
                except DamagedChunkError as error:
                    damaged.append(error)
        return damaged

    def _chunk(self, number: int) -> ChunkData:
        if self._read_table is not None:
            return from_table(self._read_table(number))
        if self.manifest.compressed:  # decompressed memory is not kept
            return from_table(self.read_verified(number))
        if number not in self._mapped:
            self._mapped[number] = from_table(self.read_verified(number))
        return self._mapped[number]
