"""The manifest: the one file that makes a folder of chunks a cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash

from freezelib.cache.errors import ManifestError
from freezelib.cache.files import write_whole
from freezelib.cache.recipe import FORMAT_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class ChunkEntry:
    """One chunk file: its samples, its size and its checksum."""

    file: str
    rows: int
    size_bytes: int
    xxh3_128: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a cache holds.

    Attributes:
        key: The recipe's key.
        recipe: The recipe in clear.
        map_shape: Shape of one sample's feature map.
        sensitive: Per view, the channels that are cached once more.
        similarity: Per view, every channel's similarity.
        compressed: Whether the coder was applied (it is left out where it would gain too little).
        nrmse: Root mean square error of the codec over the standard deviation of the maps.
        build_wall_s: Seconds that the build took: scoring, prefix forward, encoding, writing.
        versions: Of the libraries that built it.
        chunks: The chunk files in order.
    """

    key: str
    recipe: dict[str, Any]
    map_shape: tuple[int, ...]
    sensitive: dict[str, list[int]]
    similarity: dict[str, list[float]]
    compressed: bool
    nrmse: float
    build_wall_s: float
    versions: dict[str, str]
    chunks: tuple[ChunkEntry, ...]

    @property
    def cache_bytes(self) -> int:
        """Bytes of all chunk files."""
        return sum(chunk.size_bytes for chunk in self.chunks)

    @property
    def num_samples(self) -> int:
        """Samples in the cache."""
        return sum(chunk.rows for chunk in self.chunks)

    def write(self, folder: Path) -> None:
        """Commit: from here on the folder is a cache."""
        body = json.dumps(asdict(self), sort_keys=True, indent=1)
        text = json.dumps({"format_version": FORMAT_VERSION, "xxh3_128": _hash(body)})
        write_whole(folder / MANIFEST, f"{text}\n{body}\n".encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a cache folder.

        Raises:
            ManifestError: There is none, it was damaged, or it is of another format version.
        """
        path = folder / MANIFEST
        try:
            header, body = path.read_text().split("\n", 1)
            head = json.loads(header)
            version, checksum = head["format_version"], head["xxh3_128"]
        except FileNotFoundError as error:
            raise ManifestError(f"{path}: no manifest, so no cache was committed here.") from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ManifestError(f"{path}: unreadable ({error}); rebuild the cache.") from error
        if version != FORMAT_VERSION:
            raise ManifestError(
                f"{path}: format version must be {FORMAT_VERSION}, but is {version}; rebuild it."
            )
        body = body.rstrip("\n")
        if _hash(body) != checksum:
            raise ManifestError(f"{path}: its bytes do not match its checksum; rebuild the cache.")
        fields = json.loads(body)
        fields["chunks"] = tuple(ChunkEntry(**chunk) for chunk in fields["chunks"])
        fields["map_shape"] = tuple(fields["map_shape"])
        return cls(**fields)


def _hash(text: str) -> str:
    return xxhash.xxh3_128(text.encode()).hexdigest()
