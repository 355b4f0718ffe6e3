from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sweeps.config import SweepConfig, TrialConfig
from sweeps.ledger import Ledger, SweepNameError
from sweeps.storage import Storage, StorageError

SCORES = {"accuracy": 0.5, "cache_key": ""}


def test_what_is_entered_is_read_back(storage, sweep):
    ledger = Ledger.create(storage, "a", sweep)
    ledger.finish(TrialConfig(cut=1), SCORES)
    ledger.fail(TrialConfig(cut=2), "Boom")
    again = Ledger.open(storage, "a")
    assert again.sweep == sweep
    assert [(result.config.cut, result.scores) for result in again.results] == [(1, SCORES)]
    assert again.failures == {TrialConfig(cut=2).id: "Boom"}


def test_a_result_is_entered_once_and_clears_a_failure(storage, sweep):
    ledger = Ledger.create(storage, "a", sweep)
    ledger.fail(TrialConfig(), "Boom")
    ledger.finish(TrialConfig(), SCORES)
    ledger.finish(TrialConfig(), {"accuracy": 0.9})
    assert [result.scores for result in ledger.results] == [SCORES]
    assert ledger.failures == {}


def test_a_taken_name_is_refused_and_nothing_is_lost(storage, sweep):
    Ledger.create(storage, "a", sweep).finish(TrialConfig(), SCORES)
    with pytest.raises(SweepNameError, match="freezo resume a"):
        Ledger.create(storage, "a", SweepConfig())
    assert len(Ledger.open(storage, "a").results) == 1


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_a_name_that_is_no_folder_is_refused(storage, sweep, name):
    with pytest.raises(SweepNameError):
        Ledger.create(storage, name, sweep)


def test_an_unknown_sweep_names_the_known(storage, sweep):
    Ledger.create(storage, "first", sweep)
    with pytest.raises(SweepNameError, match="It has: first"):
        Ledger.open(storage, "second")


def test_a_running_sweep_is_busy_until_its_process_is_gone(storage, sweep):
    Ledger.create(storage, "a", sweep)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\nfrom sweeps.ledger import Ledger\n"
            "from sweeps.storage import Storage\n"
            f"with Ledger.open(Storage.at({str(storage.root)!r}), 'a'):\n"
            "    print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SweepNameError, match="is running"), Ledger.open(storage, "a"):
            pass
        holder.kill()
    with Ledger.open(storage, "a"):
        pass


def test_a_storage_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="--storage"):
        Storage.at(tmp_path / "file" / "inside")


def test_no_score_is_lost_to_json(storage, sweep):
    ledger = Ledger.create(storage, "a", sweep)
    with pytest.raises(ValueError):
        ledger.finish(TrialConfig(), {"accuracy": float("nan")})
    ledger.finish(TrialConfig(), SCORES)
    (path,) = storage.sweeps.glob("a/trials/*/result.json")
    assert json.loads(path.read_text())["scores"] == SCORES
