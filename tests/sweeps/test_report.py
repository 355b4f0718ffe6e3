from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from sweeps.ledger import Ledger
from sweeps.outcome import sweep_outcome
from sweeps.report import write_report
from sweeps.space import grid
from sweeps.trial import run_trial


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    from sweeps.presets import smoke
    from sweeps.storage import Storage

    storage = Storage.at(tmp_path_factory.mktemp("storage"))
    ledger = Ledger.create(storage, "a", smoke())
    for trial in grid(smoke()):
        ledger.finish(trial, run_trial(trial, storage))
    return sweep_outcome(ledger, storage)


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_whatever_is_finished_can_be_reported(outcome, tmp_path, count):
    for rows in itertools.combinations(outcome.rows, count):
        page = write_report(replace(outcome, rows=rows), tmp_path).read_text()
        assert all(row.config.id in page for row in rows)
        assert page.count("<svg") == (4 if rows else 0)


def test_the_page_s_json_is_the_outcome(outcome, tmp_path):
    write_report(outcome, tmp_path)
    assert json.loads((tmp_path / "pareto.json").read_text()) == json.loads(
        json.dumps(outcome.to_json())
    )


def test_a_failure_s_text_cannot_break_the_page(outcome, tmp_path):
    failed = replace(outcome, failures={"abc": "<script>alert(1)</script>"})
    page = write_report(failed, tmp_path).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
