"""The sweep in MLflow: one parent run, one child run per trial, one batch per report.

Runs are found by their tags, never by a file, so a resume meets the runs that are there and makes
no second ones. MLflow follows the ledger: whatever could not be logged is made up for by the next
:meth:`Tracker.sync`, and a store that fails never stops a sweep.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from sweeps.config import TrialConfig
from sweeps.ledger import Ledger
from sweeps.outcome import Outcome, front_as_markdown
from sweeps.typed import flat

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
logging.getLogger("alembic").setLevel(logging.WARNING)

import mlflow  # noqa: E402
from mlflow.entities import Metric, Param, RunTag  # noqa: E402

_EXPERIMENT, _SQLITE = "freezo", "sqlite:///"
_NOTE, _TAG_LIMIT = "mlflow.note.content", 8000
_SWEEP, _TRIAL, _PARENT = "freezo.sweep_id", "freezo.trial_id", "mlflow.parentRunId"


class TrackingError(RuntimeError):
    """The tracking store cannot be used."""


class Tracker:
    """Logs one sweep, from the driver process alone.

    Args:
        ledger: The sweep.
        uri: MLflow's tracking URI: ``sqlite:///...`` or a server's.
    """

    def __init__(self, ledger: Ledger, uri: str) -> None:
        self._ledger, self._warned = ledger, False
        self._client, self._experiment = _connect(uri)
        self._runs = self._find_runs()
        self.parent = self._runs.get("") or self._create("", ledger.name, {})

    def started(self, trial: TrialConfig) -> None:
        """Open the trial's run, or the one that an interrupted try left."""
        with self._tolerant():
            if trial.id in self._runs:
                self._client.update_run(self._runs[trial.id], status="RUNNING")
            else:
                self._open(trial)

    def reported(self, trial: TrialConfig, step: int, metrics: dict[str, float]) -> None:
        """Log one batch."""
        with self._tolerant():
            self._client.log_batch(self._runs[trial.id], metrics=_metrics(metrics, step))

    def finished(self, trial: TrialConfig, scores: dict[str, Any]) -> None:
        """Log the scores and close the run."""
        with self._tolerant():
            run = self._runs.get(trial.id) or self._open(trial)
            texts = {key: value for key, value in scores.items() if isinstance(value, str)}
            self._client.log_batch(
                run,
                metrics=_metrics(scores, trial.train.steps),
                tags=[RunTag(f"freezo.{key}", value) for key, value in texts.items()],
            )
            self._client.set_terminated(run, "FINISHED")

    def failed(self, trial: TrialConfig, error: str) -> None:
        """Note the reason and close the run."""
        with self._tolerant():
            run = self._runs.get(trial.id) or self._open(trial)
            self._client.set_tag(run, "freezo.error", error[-4000:])
            self._client.set_terminated(run, "FAILED")

    def sync(self) -> None:
        """Bring MLflow up to what the ledger holds."""
        with self._tolerant():
            closed = {run.info.run_id for run in self._search() if run.info.status == "FINISHED"}
            for result in self._ledger.results:
                if self._runs.get(result.id) not in closed:
                    self.finished(result.config, result.scores)

    def close(self, outcome: Outcome, *, report: Path, status: str) -> None:
        """Mark the Pareto set and close the parent run.

        Args:
            outcome: The sweep's; its front becomes the parent run's description.
            report: The folder of the report, which is kept with the parent run.
            status: ``FINISHED``, ``FAILED``, or ``KILLED`` after Ctrl-C.
        """
        self.sync()
        with self._tolerant():
            for row in outcome.rows:
                run = self._runs[row.config.id]
                self._client.set_tag(run, "freezo.pareto", str(row.pareto).lower())
            self._client.set_tag(self.parent, _NOTE, front_as_markdown(outcome)[:_TAG_LIMIT])
            self._client.log_batch(self.parent, metrics=_metrics(outcome.summary, 0))
            self._client.log_artifacts(self.parent, str(report))
            self._client.set_terminated(self.parent, status)

    def _open(self, trial: TrialConfig) -> str:
        run = self._create(trial.id, f"{trial.id} {trial.label}", {_PARENT: self.parent})
        params = [Param(key, str(value)) for key, value in flat(trial).items()]
        self._client.log_batch(run, params=params)
        return run

    def _create(self, trial_id: str, name: str, tags: dict[str, str]) -> str:
        tags = {
            **tags,
            _SWEEP: self._ledger.sweep_id,
            _TRIAL: trial_id,
            "freezo.sweep": self._ledger.name,
        }
        run = self._client.create_run(self._experiment, run_name=name, tags=tags)
        self._runs[trial_id] = run.info.run_id
        return run.info.run_id

    def _search(self) -> list[Any]:
        query = f"tags.`{_SWEEP}` = '{self._ledger.sweep_id}'"
        pages: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            pages += page
            if not (token := page.token):
                return pages

    def _find_runs(self) -> dict[str, str]:
        return {run.data.tags[_TRIAL]: run.info.run_id for run in self._search()}

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """A tracking store that fails costs a warning, not the sweep."""
        try:
            yield
        except Exception as error:  # MLflow raises whatever its store raises
            if not self._warned:
                warnings.warn(
                    f"MLflow could not log ({error}). The sweep goes on, and its results are in "
                    f"{self._ledger.folder}; `freezo report {self._ledger.name}` logs them again.",
                    stacklevel=3,
                )
            self._warned = True


def check_tracking(uri: str) -> None:
    """Open the store, and create it if it is a database that is not there yet.

    Raises:
        TrackingError: It cannot be opened.
    """
    try:
        _connect(uri)
    except Exception as error:  # MLflow raises whatever its store raises
        raise TrackingError(
            f"The tracking store must open, but {uri!r} does not ({error}). Name another with "
            "--tracking-uri, or leave it out to have a database in the storage folder."
        ) from error


def _connect(uri: str) -> tuple[mlflow.MlflowClient, str]:
    """A client and the id of our experiment."""
    with _schema_lock(uri):
        client = mlflow.MlflowClient(tracking_uri=uri)
        if found := client.get_experiment_by_name(_EXPERIMENT):
            return client, found.experiment_id
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return client, client.create_experiment(_EXPERIMENT, _artifact_location(uri), tags=kind)


def _artifact_location(uri: str) -> str | None:
    """Beside a database, which would otherwise put artifacts into whatever folder we are in."""
    if not uri.startswith(_SQLITE):
        return None  # a server knows its own
    return (Path(uri.removeprefix(_SQLITE)).absolute().parent / "artifacts").as_uri()


@contextmanager
def _schema_lock(uri: str) -> Iterator[None]:
    """Let one process at a time create the tables of a fresh database."""
    if uri.startswith(_SQLITE):
        with FileLock(uri.removeprefix(_SQLITE) + ".lock"):
            yield
    else:
        yield


def _metrics(values: dict[str, Any], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
    return [Metric(key, float(value), now, step) for key, value in numbers.items()]
