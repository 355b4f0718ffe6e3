"""Running a sweep: searcher, executor and watchers put together, for a first run and a resume."""

from __future__ import annotations

from rich.console import Console

from sweeps.console import ProgressWatcher
from sweeps.executors import Executor
from sweeps.ledger import Ledger
from sweeps.outcome import Outcome, sweep_outcome
from sweeps.report import write_report
from sweeps.search import make_searcher
from sweeps.space import grid
from sweeps.storage import Storage
from sweeps.tracking import Tracker
from sweeps.watching import LedgerWatcher, Watchers


class InterruptedSweepError(RuntimeError):
    """A sweep was stopped by Ctrl-C or SIGTERM; what was finished is kept."""


def run_sweep(
    ledger: Ledger,
    storage: Storage,
    *,
    executor: Executor,
    tracking_uri: str,
    console: Console,
) -> Outcome:
    """Run the trials that the ledger does not hold yet, and write the report.

    Raises:
        SweepNameError: Another process is running this sweep.
        InterruptedSweepError: It was stopped.
    """
    with ledger:
        done = ledger.results
        sweep = ledger.sweep
        total = sweep.num_trials or sum(1 for _ in grid(sweep))
        searcher = make_searcher(sweep, [(result.config, result.scores) for result in done])
        tracker = Tracker(ledger, tracking_uri)
        tracker.sync()
        status = "FAILED"  # unless we hear otherwise
        try:
            with ProgressWatcher(console, total=total, done=len(done)) as progress:
                watchers = Watchers([LedgerWatcher(ledger), tracker, progress])
                executor.run(ledger, searcher, storage, watchers)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
        finally:
            outcome = publish(ledger, storage, tracker, status=status)
    if status == "KILLED":
        raise InterruptedSweepError(
            f"Stopped. {len(outcome.rows)} finished trials are kept; go on with "
            f"`freezo resume {ledger.name} --storage {storage.root}`."
        )
    return outcome


def publish(ledger: Ledger, storage: Storage, tracker: Tracker, *, status: str) -> Outcome:
    """Write the report of what the ledger holds, and log it to MLflow."""
    outcome = sweep_outcome(ledger, storage)
    report = write_report(outcome, ledger.folder / "report")
    tracker.close(outcome, report=report.parent, status=status)
    return outcome
