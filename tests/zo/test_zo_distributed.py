import socket
import subprocess
import sys
from pathlib import Path

import pytest

RANK = Path(__file__).parent / "zo_ranks.py"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("form", ["data", "directions"])
def test_two_processes_stay_bit_identical(form):
    port = str(free_port())
    commands = [
        [sys.executable, str(RANK), str(rank), "2", form, "200", port] for rank in range(2)
    ]
    ranks = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    outputs = [rank.communicate(timeout=120) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    (first, second) = [output.split() for output, _ in outputs]
    assert first == second
