import signal
import subprocess
import sys
from pathlib import Path

import pytest
from zo_killed import train

SCRIPT = Path(__file__).parent / "zo_killed.py"


def run(path, restore, die_at):
    command = [sys.executable, str(SCRIPT), str(path), restore, str(die_at)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("restore", ["lazy", "delta"])
def test_resuming_after_sigkill_is_the_uninterrupted_run(tmp_path, restore):
    whole = train(tmp_path / "whole.pt", restore, die_at=-1)
    killed = run(tmp_path / "killed.pt", restore, die_at=17)
    assert killed.returncode == -signal.SIGKILL
    resumed = run(tmp_path / "killed.pt", restore, die_at=-1)
    assert resumed.stdout.strip() == whole, resumed.stderr
