"""Where trials run: in this process, or under Ray Tune. Both call the same function."""

from __future__ import annotations

from typing import Protocol

from sweeps.config import SweepConfig
from sweeps.ledger import Ledger
from sweeps.search import Searcher
from sweeps.storage import Storage
from sweeps.watching import Watcher

EXECUTORS = ("ray", "inline")


class PreflightError(RuntimeError):
    """A sweep cannot run as configured; found before anything was started."""


class Executor(Protocol):
    """Runs what a searcher asks for, and tells a watcher."""

    def check(self, sweep: SweepConfig) -> None:
        """Make sure that the trials of a sweep can run.

        Raises:
            PreflightError: The resources of a trial cannot be had.
        """
        ...

    def run(self, ledger: Ledger, searcher: Searcher, storage: Storage, watcher: Watcher) -> None:
        """Run until the searcher has no more trials."""
        ...


def make_executor(name: str, *, address: str | None = None) -> Executor:
    """The executor of a name; Ray is imported for ``ray`` alone."""
    if name == "inline":
        from sweeps.executors.inline import InlineExecutor

        return InlineExecutor()
    from sweeps.executors.ray_tune import RayExecutor

    return RayExecutor(address)
