"""Files that are either whole or absent, and files whose bytes are known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import xxhash

from freezelib.cache.errors import DamagedChunkError


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file as it was written: its name, size and checksum."""

    file: str
    size_bytes: int
    xxh3_128: str


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that a reader, or a crash, never meets half of it.

    Temporary file, fsync, rename over the name, fsync of the folder.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_known(path: Path, data: memoryview) -> FileEntry:
    """Write a file whole, and return what a reader must find."""
    write_whole(path, data)
    return FileEntry(
        file=path.name, size_bytes=len(data), xxh3_128=xxhash.xxh3_128(data).hexdigest()
    )


def map_known(folder: Path, entry: FileEntry, *, verify: bool) -> pa.Buffer:
    """Map a file into memory.

    Args:
        folder: Where it lies.
        entry: What must be found there.
        verify: Whether to compare the checksum too; the size is compared always.

    Raises:
        DamagedChunkError: It is missing, or has other bytes than were written.
    """
    path = folder / entry.file
    try:
        with pa.memory_map(str(path)) as file:  # the mapping outlives the descriptor
            data = file.read_buffer()
    except OSError as error:
        raise DamagedChunkError(path, f"cannot be read ({error}).") from error
    if data.size != entry.size_bytes:
        raise DamagedChunkError(path, f"must have {entry.size_bytes} bytes, but has {data.size}.")
    if verify and (found := xxhash.xxh3_128(data).hexdigest()) != entry.xxh3_128:
        raise DamagedChunkError(path, f"must have xxh3-128 {entry.xxh3_128}, but has {found}.")
    return data
