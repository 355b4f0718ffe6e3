"""One trial after the other in this process: no Ray, and a debugger works."""

from __future__ import annotations

import traceback
from functools import partial

from sweeps.config import SweepConfig
from sweeps.executors.stopping import sigterm_as_ctrl_c
from sweeps.ledger import Ledger
from sweeps.search import Searcher
from sweeps.storage import Storage
from sweeps.trial import run_trial
from sweeps.watching import Watcher


class InlineExecutor:
    """See :class:`sweeps.executors.Executor`."""

    def check(self, sweep: SweepConfig) -> None:
        """Nothing to ask for: this process is there."""

    def run(self, ledger: Ledger, searcher: Searcher, storage: Storage, watcher: Watcher) -> None:
        """Run until the searcher has no more trials."""
        with sigterm_as_ctrl_c():
            while (trial := searcher.ask()) is not None:
                watcher.started(trial)
                try:
                    scores = run_trial(trial, storage, report=partial(watcher.reported, trial))
                except Exception:  # one bad trial must not end the sweep
                    watcher.failed(trial, traceback.format_exc())
                    searcher.tell(trial, None)
                else:
                    watcher.finished(trial, scores)
                    searcher.tell(trial, scores)
