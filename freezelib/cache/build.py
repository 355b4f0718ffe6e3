"""Making the chunks of a cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from freezelib.augment import Selection, View, get_view, select_channels
from freezelib.cache.chunk import (
    BASE,
    ChunkData,
    compression,
    serialise,
    stored_view,
    to_tables,
    worth_compressing,
)
from freezelib.cache.files import write_known
from freezelib.cache.journal import Finished, Journal
from freezelib.cache.manifest import ChunkEntry, Manifest, encode_corrector
from freezelib.cache.maps import FORWARD_SAMPLES, ImageMaps, Maps
from freezelib.cache.quality import CodecError, nrmse
from freezelib.cache.recipe import CacheRecipe
from freezelib.codecs import get_codec, parse_codec
from freezelib.frozen import FrozenPrefix
from freezelib.hashing import permutation
from freezelib.images import ImageSet

Room = Callable[[int], None]


class CacheBuilder:
    """Runs a frozen prefix over a data set, once, and writes what a recipe asks for.

    Args:
        recipe: What to build; its digest and fingerprint must be the prefix's and the data's.
        prefix: The frozen prefix.
        data: The training images. Augmentation is no part of the build but for what the recipe
            names.
        maps: Where the maps come from, if not from the images.
        origin: Noted in the manifest.

    Raises:
        ValueError: The recipe is of another prefix or another data set.
    """

    def __init__(
        self,
        recipe: CacheRecipe,
        *,
        prefix: FrozenPrefix,
        data: ImageSet,
        maps: Maps | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if recipe.prefix_digest != prefix.digest or recipe.data_fingerprint != data.fingerprint:
            raise ValueError(
                "A recipe must be of the prefix and the data that it is built with, but its "
                f"prefix_digest/data_fingerprint {recipe.prefix_digest[:12]}/"
                f"{recipe.data_fingerprint[:12]} are not {prefix.digest[:12]}/"
                f"{data.fingerprint[:12]}."
            )
        self.recipe = recipe.effective()
        self._prefix, self._data, self._origin = prefix, data, dict(origin or {})
        self._maps = maps or ImageMaps(prefix, data, self.recipe)
        self._spec = parse_codec(recipe.codec)
        self._codec = get_codec(recipe.codec)
        order = torch.from_numpy(permutation(len(data), recipe.order_seed))
        self._rows = order.split(recipe.chunk_samples)
        stored = self.recipe.stored_views > 1
        self._views = [] if stored else [get_view(view) for view in recipe.views]

    def build(self, folder: Path, *, make_room: Room = lambda size_bytes: None) -> Manifest:
        """Write every chunk that is not there yet, then commit the manifest.

        Args:
            folder: Where to.
            make_room: Told after the first chunk how many bytes the cache will have.
        """
        self._prefix.assert_unchanged()
        journal = Journal(folder)
        head, finished = journal.read(self.recipe.key) or self._begin(folder, make_room)
        journal.begin(head, finished)
        for number in range(len(finished), len(self._rows)):
            started = time.perf_counter()
            chunk, error = self._encode(number, head["sensitive"])
            entry = self._write(folder, number, chunk, compressed=head["compressed"])
            finished.append(error.finished(entry, wall_s=time.perf_counter() - started))
            journal.add(finished[-1])
        try:
            self._prefix.assert_unchanged()
        except RuntimeError:
            journal.end()  # its chunks are of no use
            raise
        manifest = self._manifest(head, finished)
        manifest.write(folder)
        journal.end()
        return manifest

    def rebuild_chunk(self, folder: Path, manifest: Manifest, number: int) -> Manifest:
        """Make one chunk anew and commit its checksums."""
        chunk, _ = self._encode(number, manifest.sensitive)
        entry = self._write(folder, number, chunk, compressed=manifest.compressed)
        before = manifest.chunks[number]
        if before.spare is None and entry.spare is not None:  # the spare planes were dropped
            (folder / entry.spare.file).unlink()
            entry = replace(entry, spare=None)
        if entry == before:
            return manifest
        chunks = (*manifest.chunks[:number], entry, *manifest.chunks[number + 1 :])
        mended = replace(manifest, chunks=chunks)
        mended.write(folder)
        return mended

    def _begin(self, folder: Path, make_room: Room) -> tuple[dict[str, Any], list[Finished]]:
        """What holds for all chunks, found out with the first of them."""
        started = time.perf_counter()
        selections = {view.name: self._select(view) for view in self._views}
        sensitive = {name: selection.channels for name, selection in selections.items()}
        chunk, error = self._encode(0, sensitive)
        coder = compression(self._spec)
        needed, _ = to_tables(chunk, detachable=self._codec.detachable)
        head: dict[str, Any] = {
            "key": self.recipe.key,
            "map_shape": error.map_shape,
            "sensitive": sensitive,
            "similarity": {name: selection.scores for name, selection in selections.items()},
            "residual": {name: selection.residual for name, selection in selections.items()},
            "correctors": {
                name: encode_corrector(selection.corrector)
                for name, selection in selections.items()
                if selection.corrector is not None
            },
            "compressed": coder is not None and worth_compressing(needed, coder),
        }
        entry = self._write(folder, 0, chunk, compressed=head["compressed"])
        first_bytes = sum(file.size_bytes for file in entry.files)
        make_room(first_bytes * len(self._data) // entry.rows)
        return head, [error.finished(entry, wall_s=time.perf_counter() - started)]

    def _select(self, view: View) -> Selection:
        rows = torch.cat(self._rows)[: self.recipe.score_samples].split(FORWARD_SAMPLES)
        gain = torch.tensor(self.recipe.channel_gain) if self.recipe.channel_gain else None
        return select_channels(
            self._prefix,
            [self._data.read(part) for part in rows],
            view,
            scorer=self.recipe.scorer,
            threshold=self.recipe.similarity_threshold,
            max_fraction=self.recipe.max_fraction,
            correct=self.recipe.correct,
            channel_gain=gain,
            seed=self.recipe.order_seed,
        )

    def _encode(
        self, number: int, sensitive: Mapping[str, list[int]]
    ) -> tuple[ChunkData, CodecError]:
        rows = self._rows[number]
        planes: dict[str, Mapping[str, Tensor]] = {}
        for copy in range(self.recipe.stored_views):
            maps = self._maps.stored(copy, number, rows)
            planes[stored_view(copy)] = self._codec.encode(maps)
            if copy == 0:
                error = CodecError(maps, planes[BASE], self._codec)
        for view in self._views:
            if channels := sensitive[view.name]:
                extra = self._maps.under(view, channels, rows)
                planes[view.name] = self._codec.encode(extra)
        return ChunkData(rows.numpy(), self._data.labels[rows], planes), error

    def _write(
        self, folder: Path, number: int, chunk: ChunkData, *, compressed: bool
    ) -> ChunkEntry:
        coder = compression(self._spec) if compressed else None
        needed, spare = to_tables(chunk, detachable=self._codec.detachable)
        name = f"chunk-{number:05d}"
        main = write_known(folder / f"{name}.arrow", serialise(needed, coder))
        beside = (
            write_known(folder / f"{name}.spare.arrow", serialise(spare, coder))
            if spare.num_columns
            else None
        )
        return ChunkEntry(**main.__dict__, rows=len(chunk.labels), spare=beside)

    def _manifest(self, head: dict[str, Any], finished: list[Finished]) -> Manifest:
        return Manifest(
            key=self.recipe.key,
            recipe=self.recipe.to_json(),
            image_shape=tuple(self._data.images.shape[1:]),
            map_shape=tuple(head["map_shape"]),
            **{name: head[name] for name in _DECIDED},
            nrmse=nrmse([chunk.error for chunk in finished]),
            stepped_nrmse=nrmse([chunk.stepped_error for chunk in finished]),
            build_wall_s=sum(chunk.wall_s for chunk in finished),
            versions={name: version(name) for name in ("torch", "pyarrow", "numpy")},
            origin=self._origin,
            chunks=tuple(chunk.entry for chunk in finished),
        )


_DECIDED = ("sensitive", "similarity", "residual", "correctors", "compressed")
