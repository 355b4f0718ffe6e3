"""``freezo pareto``, ``freezo report`` and ``freezo ui``."""

from __future__ import annotations

import argparse
import json
import os
import sys

from sweeps.console import make_console, print_outcome
from sweeps.ledger import Ledger
from sweeps.outcome import sweep_outcome
from sweeps.storage import Storage


def pareto(options: argparse.Namespace) -> int:
    """Show the front, or every trial."""
    storage = Storage.at(options.storage)
    outcome = sweep_outcome(Ledger.open(storage, options.name), storage)
    if options.json:
        print(json.dumps(outcome.to_json(), indent=1))
    else:
        print_outcome(make_console(), outcome, everything=options.all)
    return 0


def report(options: argparse.Namespace) -> int:
    """Write the report anew, and log to MLflow what is not there."""
    from sweeps.running import publish
    from sweeps.tracking import Tracker

    storage = Storage.at(options.storage)
    with Ledger.open(storage, options.name) as ledger:
        tracker = Tracker(ledger, options.tracking_uri or storage.tracking_uri)
        publish(ledger, storage, tracker, status="FINISHED")
    page = ledger.folder / "report" / "index.html"
    print(json.dumps({"report": str(page)}) if options.json else page)
    return 0


def ui(options: argparse.Namespace) -> int:
    """Become MLflow's server on the sweep's store, until Ctrl-C."""
    uri = options.tracking_uri or Storage.at(options.storage).tracking_uri
    if uri.startswith(("http://", "https://")):
        print(f"The browser of a tracking server is the server itself: {uri}")
        return 0
    print(f"MLflow on http://{options.host}:{options.port} (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", options.host, "--port", str(options.port)]
    os.execv(sys.executable, command)
