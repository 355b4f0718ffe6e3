"""The lock of a cache's folder, and how a folder is emptied under it."""

from __future__ import annotations

from pathlib import Path

from freezelib.cache.lease import READERS
from freezelib.cache.manifest import MANIFEST

LOCK = ".lock"


def empty(folder: Path) -> None:
    """Delete a cache, the manifest first; the lock files stay for whoever waits at them."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name not in (LOCK, READERS):
            path.unlink()
