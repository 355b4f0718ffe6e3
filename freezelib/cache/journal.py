"""What a build has finished, so that a build that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from freezelib.cache.errors import DamagedChunkError
from freezelib.cache.files import map_known
from freezelib.cache.manifest import ChunkEntry

Sums = tuple[float, float, float, float]

JOURNAL = "build.jsonl"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A chunk that is on disk: its files, the sums of its codec's error, and what it took.

    Attributes:
        entry: Its files.
        error: Count, sum, sum of squares of the exact values, and sum of squared errors.
        stepped_error: The same without the detachable planes.
        wall_s: Seconds since the chunk before.
    """

    entry: ChunkEntry
    error: Sums
    stepped_error: Sums
    wall_s: float


class Journal:
    """One line per finished chunk, behind a head that holds what was decided before the first.

    A line that a crash cut short, and all that follows it, does not count; neither does a chunk
    whose file is not what the line says.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / JOURNAL

    def read(self, key: str) -> tuple[dict[str, Any], list[Finished]] | None:
        """Head and finished chunks of a build of the same recipe; None if there is nothing."""
        try:
            lines = self._path.read_text().split("\n")
            head = json.loads(lines[0])
        except (OSError, ValueError):
            return None
        if head.get("key") != key:
            return None
        finished: list[Finished] = []
        for line in lines[1:]:
            try:
                fields = json.loads(line)
                entry = ChunkEntry.from_json(fields["entry"])
                for file in entry.files:
                    map_known(self._folder, file, verify=True)
            except (ValueError, KeyError, TypeError, DamagedChunkError):
                break
            finished.append(
                Finished(
                    entry=entry,
                    error=tuple(fields["error"]),
                    stepped_error=tuple(fields["stepped_error"]),
                    wall_s=fields["wall_s"],
                )
            )
        return head, finished

    def begin(self, head: dict[str, Any], finished: list[Finished]) -> None:
        """Start anew with what is known to be sound."""
        with self._path.open("w") as file:
            for line in (head, *map(asdict, finished)):
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def add(self, chunk: Finished) -> None:
        """Note a chunk that was written."""
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(chunk)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def end(self) -> None:
        """The manifest is committed and knows all."""
        self._path.unlink(missing_ok=True)
