"""A cache of a few hundred images, made to find out what the whole one would be.

It is built and read by the same code as the whole one. The first half of the images is what
channels are chosen on, the second what the maps are judged on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment import Augmentation, Draws
from freezelib.cache import CacheRecipe, FeatureCache
from freezelib.cache.build import CacheBuilder
from freezelib.codecs.scratch import Scratch
from freezelib.frozen import FrozenPrefix
from freezelib.hashing import permutation
from freezelib.images import ImageSet

AS_TRAINED, CANONICAL, SHIFT = "as trained", "canonical", "shift"
_EPOCHS = (0, 1)  # whose draws the maps are judged on


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a small cache says of a large one.

    Attributes:
        bytes_per_sample: Of its chunk files.
        errors: Mean distance between the map that is read and the exact one that it stands for,
            over the mean norm of the exact ones: ``"as trained"``, and for each part of the
            augmentation by itself.
        encode_s: Seconds per sample to code and write, without the prefix.
        read_s: Seconds per sample to read a batch's worth of maps, as trained.
        extra_views: Views of which channels are cached once more.
    """

    bytes_per_sample: float
    errors: Mapping[str, float]
    encode_s: float
    read_s: float
    extra_views: int


class Rehearsals:
    """Small caches of one data set under one frozen prefix and one augmentation.

    Args:
        prefix: The frozen prefix.
        data: The training images, of which some are taken.
        augmentation: What training will do to each sample.
        samples: How many images to take, half of them to choose channels.
        folder: Where to build.
        seed: Of what is random.

    Attributes:
        map_shape: Of one feature map.
    """

    def __init__(
        self,
        prefix: FrozenPrefix,
        data: ImageSet,
        augmentation: Augmentation,
        *,
        samples: int,
        folder: Path,
        seed: int,
    ) -> None:
        self._half = min(samples, len(data)) // 2
        assert self._half >= 1
        rows = torch.from_numpy(permutation(len(data), seed)[: 2 * self._half])
        self._data = replace(data, images=data.images[rows], labels=data.labels[rows])
        self._prefix = _Remembering(prefix)
        self._augmentation, self._folder, self._seed = augmentation, folder, seed
        self.map_shape = tuple(prefix(self._data.read(slice(0, 1))).shape[1:])

    @property
    def prefix_s(self) -> float:
        """Seconds that the prefix takes for one sample."""
        return self._prefix.wall_s / max(self._prefix.samples, 1)

    def hold(self, recipe: CacheRecipe) -> Rehearsal:
        """Build a recipe's small cache, and read it.

        Raises:
            ValueError: The codec cannot code these maps, or they cannot follow the augmentation.
        """
        recipe = replace(
            recipe,
            prefix_digest=self._prefix.digest,
            data_fingerprint=self._data.fingerprint,
            chunk_samples=self._half,
            score_samples=self._half,
        )
        folder = self._folder / recipe.key
        folder.mkdir()
        before = self._prefix.wall_s
        CacheBuilder(recipe, prefix=self._prefix, data=self._data).build(folder)
        cache = FeatureCache.open(folder)
        cache.require(self._augmentation)
        assert cache.num_chunks == 2  # one to choose channels on, one to judge on
        manifest = cache.manifest
        encode_s = max(manifest.build_wall_s - (self._prefix.wall_s - before), 0.0)
        errors, read_s = self._judge(cache)
        return Rehearsal(
            bytes_per_sample=manifest.cache_bytes / manifest.num_samples,
            errors=errors,
            encode_s=encode_s / manifest.num_samples,
            read_s=read_s,
            extra_views=sum(bool(channels) for channels in manifest.sensitive.values()),
        )

    def _judge(self, cache: FeatureCache) -> tuple[dict[str, float], float]:
        """Errors, and seconds per sample, on the second half of the images."""
        number = cache.num_chunks - 1
        ids = cache.window([number]).sample_ids
        read = torch.empty(len(ids), *self.map_shape)
        errors: dict[str, float] = {}
        for part, draws in self._parts(ids, cache.stored_views).items():
            self._read(cache, number, draws, read)
            errors[part] = _distance([(read, self._exact(ids, draws))])
        pairs, times = [], []
        for epoch in _EPOCHS:
            draws = self._drawn(ids, epoch, cache.stored_views)
            times.append(self._read(cache, number, draws, read))
            pairs.append((read.clone(), self._meant(ids, epoch, draws)))
        return {AS_TRAINED: _distance(pairs), **errors}, min(times) / len(ids)

    def _read(self, cache: FeatureCache, number: int, draws: Draws, out: Tensor) -> float:
        """Fill ``out`` as a loader does, and return the seconds that it took."""
        started = time.perf_counter()
        window, scratch = cache.window([number]), Scratch()
        window.read_into(np.arange(len(out)), draws, out, scratch)
        return time.perf_counter() - started

    def _parts(self, ids: NDArray[np.int64], stored_views: int) -> dict[str, Draws]:
        """One part of the augmentation at a time, where the cached map has to follow it."""
        none = np.zeros(len(ids), np.int64)
        still = np.zeros((len(ids), 2), np.int64)
        parts = {CANONICAL: Draws(none, none, still)}
        if stored_views == 1:
            for number, view in enumerate(self._augmentation.views, start=1):
                parts[view] = Draws(none, none + number, still)
            if self._augmentation.shift_pixels:
                parts[SHIFT] = Draws(none, none, self._drawn(ids, 0, 1).shifts)
        return parts

    def _drawn(self, ids: NDArray[np.int64], epoch: int, stored_views: int) -> Draws:
        return self._augmentation.draw(
            seed=self._seed, epoch=epoch, sample_ids=ids, stored_views=stored_views
        )

    def _meant(self, ids: NDArray[np.int64], epoch: int, draws: Draws) -> Tensor:
        """The exact maps that stand for what was read.

        A stored view stands for itself. A canonical map that is read where the augmentation wants
        a random one stands for that.
        """
        meant = self._exact(ids, self._drawn(ids, epoch, 1)).clone()
        for copy in set(draws.copies.tolist()) - {0}:
            rows = torch.from_numpy(draws.copies == copy)
            meant[rows] = self._exact(ids, self._drawn(ids, -copy, 1))[rows]
        return meant

    def _exact(self, ids: NDArray[np.int64], draws: Draws) -> Tensor:
        images = self._data.read(torch.from_numpy(ids))
        return self._prefix(self._augmentation.apply_to_images(images, draws))


class _Remembering(FrozenPrefix):
    """A frozen prefix that does not run twice over the same batch."""

    def __init__(self, frozen: FrozenPrefix) -> None:
        super().__init__(frozen.prefix)
        self.wall_s, self.samples = 0.0, 0
        self._known: dict[bytes, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        key = xxhash.xxh3_128(x.contiguous().numpy().data).digest()
        if key not in self._known:
            started = time.perf_counter()
            self._known[key] = super().forward(x)
            self.wall_s += time.perf_counter() - started
            self.samples += len(x)
        return self._known[key]


def _distance(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Mean L2 distance per sample, over the mean norm of what should have been."""
    apart = sum(float((a - b).flatten(1).norm(dim=1).sum()) for a, b in pairs)
    size = sum(float(b.flatten(1).norm(dim=1).sum()) for _, b in pairs)
    return apart / size if size else 0.0
