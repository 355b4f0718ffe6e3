"""The manifest: the one file that makes a folder of chunks a cache."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor

from freezelib.cache.errors import ManifestError
from freezelib.cache.files import FileEntry, write_whole
from freezelib.cache.recipe import FORMAT_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class ChunkEntry(FileEntry):
    """One chunk: its file, its samples, and the file of its detachable planes if there is one."""

    rows: int
    spare: FileEntry | None = None

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """All files of the chunk."""
        return (self,) if self.spare is None else (self, self.spare)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ChunkEntry:
        """The entry that ``asdict`` wrote."""
        spare = fields.pop("spare", None)
        return cls(**fields, spare=FileEntry(**spare) if spare else None)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a cache holds.

    Attributes:
        key: The recipe's key.
        recipe: The recipe in clear.
        image_shape: Shape of one image, ``(c, h, w)``.
        map_shape: Shape of one sample's feature map.
        sensitive: Per view, the channels that are cached once more.
        similarity: Per view, every channel's score.
        residual: Per view, relative L2 error of what is read against the exact map.
        correctors: Per view that has one, the affine 1x1 map ``float32 [C, C + 1]`` as base64.
        compressed: Whether the coder was applied (it is left out where it would gain too little).
        nrmse: Root mean square error of the codec over the standard deviation of the maps.
        stepped_nrmse: The same without the detachable planes.
        build_wall_s: Seconds that the build took: scoring, prefix forward, encoding, writing.
        versions: Of the libraries that built it.
        origin: What its maker noted, so that damage can be mended from the command line.
        chunks: The chunk files in order.
    """

    key: str
    recipe: dict[str, Any]
    image_shape: tuple[int, ...]
    map_shape: tuple[int, ...]
    sensitive: dict[str, list[int]]
    similarity: dict[str, list[float]]
    residual: dict[str, float]
    correctors: dict[str, str]
    compressed: bool
    nrmse: float
    stepped_nrmse: float
    build_wall_s: float
    versions: dict[str, str]
    origin: Mapping[str, Any] = field(default_factory=dict)
    chunks: tuple[ChunkEntry, ...]

    @property
    def cache_bytes(self) -> int:
        """Bytes of all chunk files."""
        return sum(file.size_bytes for chunk in self.chunks for file in chunk.files)

    @property
    def num_samples(self) -> int:
        """Samples in the cache."""
        return sum(chunk.rows for chunk in self.chunks)

    def corrector(self, view: str) -> Tensor | None:
        """The affine 1x1 map of a view, ``float32 [C, C + 1]``."""
        if view not in self.correctors:
            return None
        flat = np.frombuffer(base64.b64decode(self.correctors[view]), np.float32)
        channels = self.map_shape[0]
        return torch.from_numpy(flat.copy()).view(channels, channels + 1)

    def without_spare_planes(self) -> Manifest:
        """The same cache after its detachable planes are gone."""
        chunks = tuple(replace(chunk, spare=None) for chunk in self.chunks)
        return replace(self, chunks=chunks, nrmse=self.stepped_nrmse)

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
        fields["chunks"] = tuple(ChunkEntry.from_json(chunk) for chunk in fields["chunks"])
        for shape in ("image_shape", "map_shape"):
            fields[shape] = tuple(fields[shape])
        return cls(**fields)


def encode_corrector(corrector: Tensor) -> str:
    """The form in which a manifest holds a corrector."""
    return base64.b64encode(corrector.float().contiguous().numpy().tobytes()).decode()


def _hash(text: str) -> str:
    return xxhash.xxh3_128(text.encode()).hexdigest()
