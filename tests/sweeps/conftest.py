from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sweeps.cli import main
from sweeps.config import SweepConfig
from sweeps.presets import smoke
from sweeps.storage import Storage

torch.set_num_threads(1)


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at(tmp_path / "storage")


@pytest.fixture
def sweep() -> SweepConfig:
    return smoke()


@pytest.fixture
def freezo(tmp_path, monkeypatch, capsys) -> Callable[..., Done]:
    """The command, with a storage of its own."""
    monkeypatch.setenv("FREEZO_STORAGE", str(tmp_path / "runs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as exit_:  # argparse
            status = exit_.code
        return Done(status, *capsys.readouterr())

    return run
