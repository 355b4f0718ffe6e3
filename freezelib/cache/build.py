"""Making the chunks of a cache."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch
import xxhash
from torch import Tensor

from freezelib.augment import View, get_view, score_channels, sensitive_channels
from freezelib.cache.chunk import BASE, ChunkData, serialise, to_table, worth_compressing
from freezelib.cache.files import write_whole
from freezelib.cache.manifest import ChunkEntry, Manifest
from freezelib.cache.recipe import CacheRecipe
from freezelib.codecs import get_codec, parse_codec
from freezelib.frozen import FrozenPrefix
from freezelib.hashing import permutation
from freezelib.images import ImageSet

_FORWARD_SAMPLES = 256  # images per prefix forward; bounds memory, not part of the result


class CacheBuilder:
    """Runs a frozen prefix over a data set, once, and writes what a recipe asks for.

    Args:
        recipe: What to build; its digest and fingerprint must be the prefix's and the data's.
        prefix: The frozen prefix.
        data: The training images. Augmentation is no part of the build but for the named views.

    Raises:
        ValueError: The recipe is of another prefix or another data set.
    """

    def __init__(self, recipe: CacheRecipe, *, prefix: FrozenPrefix, data: ImageSet) -> None:
        if recipe.prefix_digest != prefix.digest or recipe.data_fingerprint != data.fingerprint:
            raise ValueError(
                "A recipe must be of the prefix and the data that it is built with, but its "
                f"prefix_digest/data_fingerprint {recipe.prefix_digest[:12]}/"
                f"{recipe.data_fingerprint[:12]} are not {prefix.digest[:12]}/"
                f"{data.fingerprint[:12]}."
            )
        self.recipe = recipe
        self._prefix, self._data = prefix, data
        self._codec = get_codec(recipe.codec)
        self._order = torch.from_numpy(permutation(len(data), recipe.order_seed))
        self._views = [get_view(address) for address in recipe.views]

    def build(self, folder: Path) -> Manifest:
        """Write every chunk, then commit the manifest."""
        started = time.perf_counter()
        similarity = {view.name: self._score(view) for view in self._views}
        sensitive = {
            name: sensitive_channels(
                scores,
                threshold=self.recipe.similarity_threshold,
                max_fraction=self.recipe.max_fraction,
            )
            for name, scores in similarity.items()
        }
        entries, quality, compress = [], _Quality(), False
        for number, rows in enumerate(self._chunk_rows()):
            base, chunk = self._encode(rows, sensitive)
            quality.add(base, self._decode(chunk, base))
            table = to_table(chunk)
            if number == 0 and parse_codec(self.recipe.codec).coder != "none":
                compress = worth_compressing(table)
            data = serialise(table, compress=compress)
            entries.append(_write(folder, number, len(rows), data))
        self._prefix.assert_unchanged()
        manifest = Manifest(
            key=self.recipe.key,
            recipe=self.recipe.to_json(),
            map_shape=tuple(base.shape[1:]),
            sensitive=sensitive,
            similarity={name: scores.tolist() for name, scores in similarity.items()},
            compressed=compress,
            nrmse=quality.nrmse,
            build_wall_s=time.perf_counter() - started,
            versions={name: version(name) for name in ("torch", "pyarrow", "numpy")},
            chunks=tuple(entries),
        )
        manifest.write(folder)
        return manifest

    def rebuild_chunk(self, folder: Path, manifest: Manifest, number: int) -> Manifest:
        """Make one chunk anew and commit its checksum."""
        rows = list(self._chunk_rows())[number]
        _, chunk = self._encode(rows, manifest.sensitive)
        data = serialise(to_table(chunk), compress=manifest.compressed)
        entry = _write(folder, number, len(rows), data)
        if entry == manifest.chunks[number]:
            return manifest
        chunks = (*manifest.chunks[:number], entry, *manifest.chunks[number + 1 :])
        mended = Manifest(**{**manifest.__dict__, "chunks": chunks})
        mended.write(folder)
        return mended

    def _chunk_rows(self) -> Iterator[Tensor]:
        yield from self._order.split(self.recipe.chunk_samples)

    def _score(self, view: View) -> Tensor:
        rows = self._order[: self.recipe.score_samples].split(_FORWARD_SAMPLES)
        return score_channels(self._prefix, (self._data.read(part) for part in rows), view)

    def _encode(
        self, rows: Tensor, sensitive: Mapping[str, list[int]]
    ) -> tuple[Tensor, ChunkData]:
        base = torch.cat(
            [self._prefix(self._data.read(part)) for part in rows.split(_FORWARD_SAMPLES)]
        )
        planes = {BASE: self._codec.encode(base)}
        for view in self._views:
            if channels := sensitive[view.name]:
                extra = torch.cat(
                    [
                        self._prefix(view.apply(self._data.read(part)))[:, channels]
                        for part in rows.split(_FORWARD_SAMPLES)
                    ]
                )
                planes[view.name] = self._codec.encode(extra)
        return base, ChunkData(rows.numpy(), self._data.labels[rows], planes)

    def _decode(self, chunk: ChunkData, like: Tensor) -> Tensor:
        decoded = torch.empty_like(like)
        self._codec.decode_into(chunk.planes[BASE], torch.arange(len(like)), decoded)
        return decoded


class _Quality:
    """Running error of the codec against the exact maps."""

    def __init__(self) -> None:
        self._count, self._sum, self._square, self._error = 0, 0.0, 0.0, 0.0

    def add(self, exact: Tensor, decoded: Tensor) -> None:
        wide = exact.double()
        self._count += wide.numel()
        self._sum += float(wide.sum())
        self._square += float((wide * wide).sum())
        self._error += float((wide - decoded).square().sum())

    @property
    def nrmse(self) -> float:
        variance = self._square / self._count - (self._sum / self._count) ** 2
        return (self._error / self._count / max(variance, 1e-30)) ** 0.5


def _write(folder: Path, number: int, rows: int, data: memoryview) -> ChunkEntry:
    name = f"chunk-{number:05d}.arrow"
    write_whole(folder / name, data)
    return ChunkEntry(
        file=name, rows=rows, size_bytes=len(data), xxh3_128=xxhash.xxh3_128(data).hexdigest()
    )
