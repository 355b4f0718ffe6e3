"""Feature caches in Ray's object store: read once per cluster, shared by every trial.

The Arrow files are the truth; the build is single flight by their file lock. What this adds is
the hot tier: one named actor reads a cache, verified and decompressed, and puts each chunk's table
into the object store, where trials read it without a copy. Whatever goes wrong with that (the
actor or an object was lost, the store is full) is a miss, and a miss reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from freezelib.cache import FeatureCache

_ACTOR, _NAMESPACE = "freezo-feature-caches", "freezo"
_TIMEOUT_S = 60.0
_STORE_SHARE = 0.5  # a cache must never push the object store into spilling to disk


@ray.remote(num_cpus=0, max_restarts=-1)
class FeatureCacheRegistry:
    """Holds the chunks of caches in the object store, for as long as the cluster lives."""

    def __init__(self, budget_bytes: float) -> None:
        self._tables: dict[str, list[ray.ObjectRef]] = {}
        self._left = budget_bytes

    def tables(self, folder: Path) -> list[ray.ObjectRef] | None:
        """One reference per chunk, put there by the first call; None where there is no room."""
        cache = FeatureCache.open(folder)
        key = cache.manifest.key
        if key not in self._tables:
            tables = [cache.read_verified(number) for number in range(cache.num_chunks)]
            if (size := sum(table.nbytes for table in tables)) > self._left:
                return None
            self._left -= size
            self._tables[key] = [ray.put(table) for table in tables]
        return self._tables[key]


def start_registry() -> None:
    """Make the actor unless the cluster has it; detached, so no trial's end takes it away."""
    store_bytes = ray.cluster_resources().get("object_store_memory", 0.0)
    FeatureCacheRegistry.options(  # type: ignore[attr-defined]
        name=_ACTOR, namespace=_NAMESPACE, lifetime="detached", get_if_exists=True
    ).remote(_STORE_SHARE * store_bytes)


def share_through_ray(cache: FeatureCache) -> FeatureCache:
    """The same cache, read from the object store where possible."""
    try:
        registry = ray.get_actor(_ACTOR, namespace=_NAMESPACE)
        tables = ray.get(registry.tables.remote(cache.folder), timeout=_TIMEOUT_S)
    except (ray.exceptions.RayError, ValueError):
        return cache
    if tables is None:
        return cache
    reader = _SharedTables(cache, tables)
    return FeatureCache(cache.folder, cache.manifest, read_table=reader)


class _SharedTables:
    """Reads a chunk's table from the object store, or else from its file."""

    def __init__(self, cache: FeatureCache, tables: list[Any]) -> None:
        self._cache, self._tables = cache, tables

    def __call__(self, number: int) -> pa.Table:
        try:
            return ray.get(self._tables[number], timeout=_TIMEOUT_S)
        except ray.exceptions.RayError:
            return self._cache.read_verified(number)
