"""Who hears of a sweep's trials: the ledger, MLflow, the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sweeps.config import TrialConfig
from sweeps.ledger import Ledger


class Watcher(Protocol):
    """Hears of each trial, in the driver process, whatever the executor."""

    def started(self, trial: TrialConfig) -> None:
        """A trial begins."""
        ...

    def reported(self, trial: TrialConfig, step: int, metrics: dict[str, float]) -> None:
        """A trial is under way."""
        ...

    def finished(self, trial: TrialConfig, scores: dict[str, Any]) -> None:
        """A trial came to its scores."""
        ...

    def failed(self, trial: TrialConfig, error: str) -> None:
        """A trial raised."""
        ...


class Watchers:
    """Several watchers as one, told in order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def started(self, trial: TrialConfig) -> None:
        """See :class:`Watcher`."""
        for watcher in self._watchers:
            watcher.started(trial)

    def reported(self, trial: TrialConfig, step: int, metrics: dict[str, float]) -> None:
        """See :class:`Watcher`."""
        for watcher in self._watchers:
            watcher.reported(trial, step, metrics)

    def finished(self, trial: TrialConfig, scores: dict[str, Any]) -> None:
        """See :class:`Watcher`."""
        for watcher in self._watchers:
            watcher.finished(trial, scores)

    def failed(self, trial: TrialConfig, error: str) -> None:
        """See :class:`Watcher`."""
        for watcher in self._watchers:
            watcher.failed(trial, error)


class LedgerWatcher:
    """Enters results, also those of trials on nodes that do not share the storage."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def started(self, trial: TrialConfig) -> None:
        """Nothing to enter yet."""

    def reported(self, trial: TrialConfig, step: int, metrics: dict[str, float]) -> None:
        """Nothing to enter yet."""

    def finished(self, trial: TrialConfig, scores: dict[str, Any]) -> None:
        """See :class:`Watcher`."""
        self._ledger.finish(trial, scores)

    def failed(self, trial: TrialConfig, error: str) -> None:
        """See :class:`Watcher`."""
        self._ledger.fail(trial, error)
