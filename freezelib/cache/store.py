"""A folder of caches: one build per key, whoever asks, and what it takes to keep house."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from freezelib.cache.build import CacheBuilder
from freezelib.cache.errors import CacheError, DamagedChunkError, ManifestError
from freezelib.cache.feature_cache import FeatureCache
from freezelib.cache.manifest import MANIFEST, Manifest
from freezelib.cache.recipe import CacheRecipe
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet

_BUILD_LOG, _LOCK = "builds.jsonl", ".lock"


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
    kernel drops it when its holder dies, so a killed builder leaves nothing to clean up.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, key: str) -> Path:
        """Where the cache of a key lives."""
        return self.root / key[:2] / key

    def get_or_build(
        self, recipe: CacheRecipe, *, prefix: FrozenPrefix, data: ImageSet
    ) -> FeatureCache:
        """The cache of a recipe, built by the first who asks; damaged chunks are made anew."""
        folder = self.folder(recipe.key)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            try:
                cache = FeatureCache.open(folder)
            except ManifestError:
                manifest = CacheBuilder(recipe, prefix=prefix, data=data).build(folder)
                self._log_build(manifest)
                return FeatureCache(folder, manifest)
            if damaged := cache.damaged_chunks():
                cache = self._mend(cache, damaged, CacheBuilder(recipe, prefix=prefix, data=data))
            os.utime(folder)  # least recently used goes first when space is short
            return cache

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

        Whole entries, and never one that is being built; what a killed build left behind goes in
        any case. Readers that have a chunk mapped keep it: files are unlinked, never truncated.

        Returns:
            Keys of the deleted caches.
        """
        self._drop_unfinished()
        entries = list(self.entries())
        used = sum(entry.manifest.cache_bytes for entry in entries)
        deleted = []
        for entry in entries:
            if used <= max_bytes:
                break
            with FileLock(entry.folder / _LOCK):
                _empty(entry.folder)
            used -= entry.manifest.cache_bytes
            deleted.append(entry.manifest.key)
        return deleted

    def _drop_unfinished(self) -> None:
        for lock in self.root.glob(f"??/*/{_LOCK}"):
            if not (lock.parent / MANIFEST).exists():
                try:
                    with FileLock(lock, timeout=0):
                        _empty(lock.parent)
                except Timeout:
                    continue  # it is being built

    def _mend(
        self, cache: FeatureCache, damaged: list[DamagedChunkError], builder: CacheBuilder
    ) -> FeatureCache:
        manifest = cache.manifest
        numbers = {entry.file: number for number, entry in enumerate(manifest.chunks)}
        for error in damaged:
            manifest = builder.rebuild_chunk(cache.folder, manifest, numbers[error.path.name])
        return FeatureCache(cache.folder, manifest)

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


def _empty(folder: Path) -> None:
    """Delete a cache, the manifest first; the lock file stays for whoever waits at it."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()
