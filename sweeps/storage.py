"""Where a sweep keeps things: one folder that all its trials see."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


class StorageError(RuntimeError):
    """The storage cannot be used."""


@dataclass(frozen=True)
class Storage:
    """The folder layout. Caches and trunks are content-addressed, so sweeps share them.

    Attributes:
        root: Shared by all nodes where there are several.
    """

    root: Path

    @classmethod
    def at(cls, root: str | Path) -> Storage:
        """The storage in a folder, which is made if it is not there.

        Raises:
            StorageError: It cannot be written.
        """
        path = Path(root).expanduser().absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StorageError(
                f"The storage must be a folder that can be written, but {path} is not "
                f"({error.strerror}). Choose another with --storage DIR."
            ) from error
        return cls(path)

    @property
    def caches(self) -> Path:
        """Feature caches."""
        return self.root / "caches"

    @property
    def trunks(self) -> Path:
        """Trunk checkpoints."""
        return self.root / "trunks"

    @property
    def sweeps(self) -> Path:
        """One folder per sweep, by name."""
        return self.root / "sweeps"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store that is used unless another is named."""
        return f"sqlite:///{self.root / 'mlflow.db'}"


def default_storage() -> str:
    """``$FREEZO_STORAGE``, or ``runs`` here."""
    return os.environ.get("FREEZO_STORAGE", "runs")


def data_root() -> Path:
    """Where data sets are kept: ``$FREEZO_DATA``, or a folder in the user's cache."""
    return Path(os.environ.get("FREEZO_DATA", "~/.cache/freezo")).expanduser().absolute()
