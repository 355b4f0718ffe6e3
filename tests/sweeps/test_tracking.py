from __future__ import annotations

from unittest import mock

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def ledger(storage, sweep):
    from sweeps.ledger import Ledger

    return Ledger.create(storage, "a", sweep)


@pytest.fixture
def results(sweep, storage):
    from sweeps.space import grid
    from sweeps.trial import run_trial

    return [(trial, run_trial(trial, storage)) for trial in list(grid(sweep))[:2]]


def _tracker(ledger, storage):
    from sweeps.tracking import Tracker

    return Tracker(ledger, storage.tracking_uri)


def _runs(storage):
    import mlflow

    client = mlflow.MlflowClient(storage.tracking_uri)
    experiment = client.get_experiment_by_name("freezo")
    return client.search_runs([experiment.experiment_id])


def test_a_sweep_is_one_parent_with_a_child_per_trial(ledger, storage, results):
    tracker = _tracker(ledger, storage)
    for trial, scores in results:
        tracker.started(trial)
        tracker.reported(trial, 5, {"train_loss": 1.5})
        tracker.finished(trial, scores)
    runs = _runs(storage)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == tracker.parent]
    assert len(runs) == 3
    assert len(children) == 2
    for run in children:
        (scores,) = (s for t, s in results if t.id == run.data.tags["freezo.trial_id"])
        numbers = {k: v for k, v in scores.items() if isinstance(v, int | float)}
        assert {k: run.data.metrics[k] for k in numbers} == numbers
        assert run.data.params["cut"] in {str(trial.cut) for trial, _ in results}
        assert run.info.status == "FINISHED"


def test_a_second_tracker_finds_the_runs_of_the_first(ledger, storage, results):
    (trial, scores), (other, _) = results
    first = _tracker(ledger, storage)
    first.started(trial)
    first.started(other)  # and then the driver is killed
    second = _tracker(ledger, storage)
    second.started(trial)
    second.finished(trial, scores)
    second.started(other)
    assert len(_runs(storage)) == 3


def test_sync_makes_up_for_what_was_not_logged(ledger, storage, results):
    for trial, scores in results:
        ledger.finish(trial, scores)
    for _ in range(2):
        _tracker(ledger, storage).sync()
    children = [run for run in _runs(storage) if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.metrics["accuracy"] for run in children} == {
        s["accuracy"] for _, s in results
    }
    assert len(children) == 2


def test_artifacts_stay_in_the_storage(ledger, storage, results, tmp_path, monkeypatch):
    from sweeps.running import publish

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ledger.finish(*results[0])
    publish(ledger, storage, _tracker(ledger, storage), status="FINISHED")
    assert list(elsewhere.iterdir()) == []
    assert list((storage.root / "artifacts").rglob("index.html"))


def test_a_report_is_one_call(ledger, storage, results):
    tracker = _tracker(ledger, storage)
    tracker.started(results[0][0])
    with mock.patch.object(tracker, "_client", wraps=tracker._client) as client:
        tracker.reported(results[0][0], 1, {"train_loss": 1.0, "another": 2.0})
    assert [call[0] for call in client.method_calls] == ["log_batch"]


def test_a_store_that_fails_costs_a_warning_and_not_the_sweep(ledger, storage, results):
    tracker = _tracker(ledger, storage)
    with (
        mock.patch.object(tracker._client, "log_batch", side_effect=OSError("disk full")),
        pytest.warns(UserWarning, match="disk full"),
    ):
        tracker.finished(*results[0])


def test_the_parent_describes_the_front(ledger, storage, results):
    from sweeps.running import publish

    for trial, scores in results:
        ledger.finish(trial, scores)
    tracker = _tracker(ledger, storage)
    outcome = publish(ledger, storage, tracker, status="FINISHED")
    (parent,) = (run for run in _runs(storage) if run.info.run_id == tracker.parent)
    assert all(r.config.id in parent.data.tags["mlflow.note.content"] for r in outcome.front)
    assert parent.data.metrics["hypervolume"] == pytest.approx(outcome.hypervolume)
    assert parent.data.metrics["cache_builds"] == parent.data.metrics["cache_keys"]
