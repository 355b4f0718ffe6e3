"""``freezo run`` and ``freezo resume``."""

from __future__ import annotations

import argparse
import json
import sys
import time

from rich.console import Console

from sweeps.cli.presets import configured
from sweeps.console import make_console, print_outcome
from sweeps.executors import Executor, make_executor
from sweeps.ledger import Ledger
from sweeps.preflight import check_sweep
from sweeps.storage import Storage


def run(options: argparse.Namespace) -> int:
    """Run a new sweep."""
    sweep = configured(options)
    storage = Storage.at(options.storage)
    check_sweep(sweep)
    executor = make_executor(options.executor, address=options.address)
    executor.check(sweep)
    _check_tracking(storage, options)
    name = options.name or f"{options.preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    return _go(Ledger.create(storage, name, sweep), storage, executor, options)


def resume(options: argparse.Namespace) -> int:
    """Run what is left of a sweep."""
    storage = Storage.at(options.storage)
    ledger = Ledger.open(storage, options.name)
    executor = make_executor(options.executor, address=options.address)
    executor.check(ledger.sweep)
    return _go(ledger, storage, executor, options)


def _check_tracking(storage: Storage, options: argparse.Namespace) -> None:
    from sweeps.tracking import check_tracking

    check_tracking(options.tracking_uri or storage.tracking_uri)


def _go(ledger: Ledger, storage: Storage, executor: Executor, options: argparse.Namespace) -> int:
    from sweeps.running import run_sweep

    # With --json the result alone goes to standard output.
    console = Console(stderr=True, highlight=False) if options.json else make_console()
    console.print(f"Sweep {ledger.name} in {storage.root}", markup=False)
    started = time.perf_counter()
    outcome = run_sweep(
        ledger,
        storage,
        executor=executor,
        tracking_uri=options.tracking_uri or storage.tracking_uri,
        console=console,
    )
    if options.json:
        json.dump(outcome.to_json(), sys.stdout, indent=1)
        print()
    else:
        print_outcome(console, outcome)
        report = ledger.folder / "report"
        here = f"--storage {storage.root}"
        console.print(
            f"Took {time.perf_counter() - started:.0f} s.\n"
            f"Report:  {report / 'index.html'}\n"
            f"Plots:   {report / 'pareto.svg'}\n"
            f"Browser: freezo ui {here}\n"
            f"Table:   freezo pareto {ledger.name} --all {here}",
            markup=False,
        )
    return 1 if outcome.failures else 0
