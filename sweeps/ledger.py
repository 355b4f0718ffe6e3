"""The ledger: what a sweep is, and what each of its trials came to, as files.

A finished trial is one file, written whole by whoever ran it. That file alone decides whether the
trial runs again, so a sweep that was killed anywhere resumes by reading its folder.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from freezelib.cache.files import write_whole
from sweeps.config import SweepConfig, TrialConfig
from sweeps.storage import Storage
from sweeps.typed import from_dict, to_dict

_SWEEP, _RESULT, _FAILURE = "sweep.json", "result.json", "failure.json"


class SweepNameError(RuntimeError):
    """A sweep's name is taken, busy, unknown, or no name."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A finished trial."""

    config: TrialConfig
    scores: dict[str, Any]

    @property
    def id(self) -> str:
        """The trial's id."""
        return self.config.id


class Ledger:
    """One sweep's folder."""

    def __init__(self, folder: Path, sweep: SweepConfig, sweep_id: str) -> None:
        self.folder = folder
        self.sweep = sweep
        self.sweep_id = sweep_id  # tells apart sweeps of one name in one MLflow server
        self.name = folder.name
        self._lock = FileLock(folder / ".lock")

    @classmethod
    def create(cls, storage: Storage, name: str, sweep: SweepConfig) -> Ledger:
        """A new sweep's folder.

        Raises:
            SweepNameError: The name is taken, or cannot be a folder's.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise SweepNameError(
                f"A sweep's name must be letters, digits, dots, dashes and underscores, but got "
                f"{name!r}."
            )
        folder = storage.sweeps / name
        if (folder / _SWEEP).exists():
            raise SweepNameError(
                f"A sweep's name must be new, but {name!r} is in {storage.root}. "
                f"Go on with `freezo resume {name}`, or choose another --name."
            )
        folder.mkdir(parents=True, exist_ok=True)
        sweep_id = uuid.uuid4().hex
        write_whole(folder / _SWEEP, _json({"id": sweep_id, "sweep": to_dict(sweep)}))
        return cls(folder, sweep, sweep_id)

    @classmethod
    def open(cls, storage: Storage, name: str) -> Ledger:
        """The folder of a sweep that exists.

        Raises:
            SweepNameError: There is no such sweep.
        """
        path = storage.sweeps / name / _SWEEP
        if not path.exists():
            names = sorted(p.parent.name for p in storage.sweeps.glob(f"*/{_SWEEP}"))
            known = f"It has: {', '.join(names)}." if names else "It has none yet."
            raise SweepNameError(f"There is no sweep {name!r} in {storage.root}. {known}")
        content = json.loads(path.read_text())
        return cls(path.parent, from_dict(SweepConfig, content["sweep"]), content["id"])

    def __enter__(self) -> Ledger:
        """Hold the sweep; the hold ends with the process, however it ends.

        Raises:
            SweepNameError: Another process is running it.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise SweepNameError(
                f"A sweep must be run by one process at a time, but {self.name!r} is running. "
                "Wait for it, or choose another --name."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def results(self) -> list[TrialResult]:
        """The finished trials, in the order of their ids."""
        return list(self._results())

    @property
    def failures(self) -> dict[str, str]:
        """The reason of each failed trial, by id; a later success clears it."""
        found = {}
        for path in sorted(self.folder.glob(f"trials/*/{_FAILURE}")):
            if not path.with_name(_RESULT).exists():
                found[path.parent.name] = json.loads(path.read_text())["error"]
        return found

    def finish(self, config: TrialConfig, scores: dict[str, Any]) -> None:
        """Enter a finished trial, once."""
        path = self._trial(config) / _RESULT
        if not path.exists():
            result = TrialResult(config=config, scores=scores)
            write_whole(path, _json({"config": to_dict(config), "scores": result.scores}))

    def fail(self, config: TrialConfig, error: str) -> None:
        """Enter a failed trial; a resume will try it again."""
        content = {"config": to_dict(config), "error": error}
        write_whole(self._trial(config) / _FAILURE, _json(content))

    def _trial(self, config: TrialConfig) -> Path:
        folder = self.folder / "trials" / config.id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _results(self) -> Iterator[TrialResult]:
        for path in sorted(self.folder.glob(f"trials/*/{_RESULT}")):
            content = json.loads(path.read_text())
            config = from_dict(TrialConfig, content["config"])
            yield TrialResult(config=config, scores=content["scores"])


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
