"""Making room: which caches go, and when there is none to be made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from freezelib.cache.errors import CacheSpaceError
from freezelib.cache.lease import is_read
from freezelib.cache.locking import LOCK, empty
from freezelib.cache.manifest import MANIFEST

if TYPE_CHECKING:
    from freezelib.cache.feature_cache import FeatureCache
    from freezelib.cache.store import CacheStore


class Eviction:
    """Deletes whole caches, least recently used first, and never one that is read or built.

    Args:
        store: Whose caches they are.
        max_bytes: Budget of all of them together, if there is one.
        min_free_bytes: What must stay free on the disk.
    """

    def __init__(self, store: CacheStore, *, max_bytes: int | None, min_free_bytes: int) -> None:
        self._store, self._max_bytes, self._min_free_bytes = store, max_bytes, min_free_bytes

    def make_room(self, key: str, needed_bytes: int) -> None:
        """Evict until a cache of a size fits into the budget and leaves the disk its floor.

        Raises:
            CacheSpaceError: It does not fit even then.
        """
        entries = [e for e in self._store.entries() if e.manifest.key != key]
        used = sum(entry.manifest.cache_bytes for entry in entries)
        free = shutil.disk_usage(self._store.root).free
        budget = self._max_bytes if self._max_bytes is not None else used + needed_bytes
        excess = max(used + needed_bytes - budget, needed_bytes + self._min_free_bytes - free)
        for entry in entries:
            if excess <= 0:
                return
            if self._evict(entry):
                excess -= entry.manifest.cache_bytes
        if excess > 0:
            raise CacheSpaceError(
                f"A cache of {needed_bytes:,} B must fit into the budget of {budget:,} B and "
                f"leave {self._min_free_bytes:,} B of the disk free, but {excess:,} B are missing "
                "after every cache that nobody reads was deleted: raise the budget, free some "
                "space, or take fewer bits (freezo cache plan)."
            )

    def shrink_to(self, max_bytes: int) -> list[str]:
        """Evict until the caches fit into a budget, as far as nobody reads them."""
        entries = list(self._store.entries())
        used = sum(entry.manifest.cache_bytes for entry in entries)
        deleted = []
        for entry in entries:
            if used <= max_bytes:
                break
            if self._evict(entry):
                used -= entry.manifest.cache_bytes
                deleted.append(entry.manifest.key)
        return deleted

    def drop_unfinished(self) -> None:
        """Delete what killed builds left behind."""
        for lock in self._store.root.glob(f"??/*/{LOCK}"):
            if not (lock.parent / MANIFEST).exists():
                try:
                    with FileLock(lock, timeout=0):
                        empty(lock.parent)
                except Timeout:
                    continue  # it is being built

    def _evict(self, entry: FeatureCache) -> bool:
        try:
            with FileLock(entry.folder / LOCK, timeout=0):
                if is_read(entry.folder):
                    return False
                empty(entry.folder)
                return True
        except Timeout:
            return False
