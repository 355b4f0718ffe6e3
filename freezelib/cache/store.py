"""A folder of caches: one build per key, whoever asks, and what it takes to keep house."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from freezelib.cache.build import CacheBuilder
from freezelib.cache.errors import CacheError, CacheSpaceError, DamagedChunkError, ManifestError
from freezelib.cache.eviction import Eviction
from freezelib.cache.feature_cache import FeatureCache
from freezelib.cache.lease import ReadLease
from freezelib.cache.locking import LOCK, empty
from freezelib.cache.manifest import MANIFEST, Manifest
from freezelib.cache.maps import Maps
from freezelib.cache.recipe import CacheRecipe
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet

_BUILD_LOG = "builds.jsonl"
_FREE_FLOOR = 256 * 2**20  # other programs need the disk too


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build that took place: the cache's key, when, by whom, and how long it took."""

    key: str
    finished_unix_s: float
    pid: int
    build_wall_s: float


class CacheStore:
    """Caches under one root, addressed by content.

    A file lock per key makes a build single flight among all processes that see the root; the
    kernel drops it when its holder dies, and the next one goes on with the chunks that are there.

    Args:
        root: The folder.
        max_bytes: Budget of all caches together; the least recently used make room.
        min_free_bytes: What a build leaves free on the disk.
    """

    def __init__(
        self, root: Path, *, max_bytes: int | None = None, min_free_bytes: int = _FREE_FLOOR
    ) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._eviction = Eviction(self, max_bytes=max_bytes, min_free_bytes=min_free_bytes)

    def folder(self, key: str) -> Path:
        """Where the cache of a key lives."""
        return self.root / key[:2] / key

    def get_or_build(
        self,
        recipe: CacheRecipe,
        *,
        prefix: FrozenPrefix,
        data: ImageSet,
        maps: Maps | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> FeatureCache:
        """The cache of a recipe, built by the first who asks.

        It holds a lease, so it is not evicted while it is in use, and a chunk that turns out to
        be damaged when it is read is made anew.

        Args:
            recipe: What to build.
            prefix: The frozen prefix.
            data: The training images.
            maps: Where the maps come from, if not from the images.
            origin: Noted in the manifest for ``freezo cache verify``.

        Raises:
            CacheSpaceError: There is no room for it; what was written is deleted.
        """
        folder = self.folder(recipe.key)
        folder.mkdir(parents=True, exist_ok=True)
        builder = CacheBuilder(recipe, prefix=prefix, data=data, maps=maps, origin=origin)
        with FileLock(folder / LOCK):
            lease = ReadLease(folder)
            try:
                manifest = Manifest.read(folder)
            except ManifestError:
                manifest = self._build(builder, folder)
            os.utime(folder)  # least recently used goes first when space is short
        repair = partial(self._repair, builder, folder)
        return FeatureCache(folder, manifest, repair=repair, lease=lease)

    def builds(self) -> list[Build]:
        """Every build that ever took place under this root, oldest first."""
        log = self.root / _BUILD_LOG
        lines = log.read_text().splitlines() if log.exists() else []
        return [Build(**json.loads(line)) for line in lines]

    def entries(self) -> Iterator[FeatureCache]:
        """The committed caches, least recently used first."""
        folders = [path.parent for path in self.root.glob("??/*/manifest.json")]
        for folder in sorted(folders, key=lambda f: f.stat().st_mtime):
            try:
                yield FeatureCache.open(folder)
            except ManifestError:
                continue  # verify() names it

    def verify(self) -> list[CacheError]:
        """Everything that is damaged, with its name and the reason."""
        problems: list[CacheError] = []
        for path in sorted(self.root.glob("??/*/manifest.json")):
            try:
                problems += FeatureCache.open(path.parent).damaged_chunks()
            except ManifestError as error:
                problems.append(error)
        return problems

    def collect(self, *, max_bytes: int) -> list[str]:
        """Delete caches, least recently used first, until the rest fit into a budget.

        Whole entries, and never one that is being read or built; what a killed build left behind
        goes in any case.

        Returns:
            Keys of the deleted caches.
        """
        self._eviction.drop_unfinished()
        return self._eviction.shrink_to(max_bytes)

    def step_down(self, key: str) -> int:
        """Delete the detachable planes of a cache: a step down in rate without a rebuild.

        What was ``int8p`` is read as ``int4`` from now on. Readers that have it open keep what
        they have mapped and meet the smaller cache when they open it again.

        Returns:
            The bytes that became free.

        Raises:
            ValueError: There is no such cache, or it has no detachable planes.
        """
        folder = self.folder(key)
        if not (folder / MANIFEST).exists():
            raise ValueError(f"There is no cache {key!r}: `freezo cache ls` lists them.")
        with FileLock(folder / LOCK):
            manifest = Manifest.read(folder)
            spare = [chunk.spare for chunk in manifest.chunks if chunk.spare is not None]
            if not spare:
                raise ValueError(
                    "A cache must have been built with a codec of two planes to be stepped down, "
                    f"but {key[:12]} has codec {manifest.recipe['codec']}: build with int8p."
                )
            manifest.without_spare_planes().write(folder)
            for entry in spare:
                (folder / entry.file).unlink(missing_ok=True)
        return sum(entry.size_bytes for entry in spare)

    def _build(self, builder: CacheBuilder, folder: Path) -> Manifest:
        key = builder.recipe.key
        try:
            manifest = builder.build(folder, make_room=partial(self._eviction.make_room, key))
        except CacheSpaceError:
            empty(folder)
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            empty(folder)  # half a cache on a full disk helps nobody
            raise CacheSpaceError(
                f"{folder}: the disk is full; what was written of this cache is deleted. Free "
                "some space (freezo cache gc), or take fewer bits (freezo cache plan)."
            ) from error
        self._log_build(manifest)
        return manifest

    def _repair(
        self, builder: CacheBuilder, folder: Path, error: DamagedChunkError, number: int
    ) -> Manifest:
        """Make a chunk anew, unless another process was faster."""
        with FileLock(folder / LOCK):
            manifest = Manifest.read(folder)
            now = FeatureCache(folder, manifest)
            try:
                now.read_verified(number)
            except DamagedChunkError:
                return builder.rebuild_chunk(folder, manifest, number)
        return manifest

    def _log_build(self, manifest: Manifest) -> None:
        build = Build(
            key=manifest.key,
            finished_unix_s=time.time(),
            pid=os.getpid(),
            build_wall_s=manifest.build_wall_s,
        )
        # One short append is atomic, so builders of other keys need no lock.
        with (self.root / _BUILD_LOG).open("a") as log:
            log.write(json.dumps(build.__dict__) + "\n")
