"""What can be wrong with a cache on disk, each with a name."""

from __future__ import annotations

from pathlib import Path


class CacheError(RuntimeError):
    """A cache on disk is not what its manifest says, or cannot be made."""


class ManifestError(CacheError):
    """The manifest is missing, damaged, or of another format version."""


class CacheSpaceError(CacheError):
    """There is no room for a cache: its budget, or the disk, is too small."""


class DamagedChunkError(CacheError):
    """A chunk file is missing, truncated, or has other bytes than were written.

    Attributes:
        path: The chunk file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[DamagedChunkError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)
