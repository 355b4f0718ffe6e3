"""Where the benchmarks put their results, and what every result carries."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write_result(name: str, *, n: int, result: dict[str, Any]) -> Path:
    """Write ``results/<name>.json`` with commit, versions, machine and the number of cases."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    report = {"benchmark": name, "n": n, **provenance(), "result": result}
    path.write_text(json.dumps(report, indent=1) + "\n")
    return path


def provenance() -> dict[str, Any]:
    """Return when, where and with what a figure was made."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
    }


def _commit() -> str | None:
    """The commit that was measured, marked where anything but results was changed since."""
    git = ("git", "-C", str(RESULTS.parents[1]))
    commit = _first_line(*git, "rev-parse", "--short", "HEAD")
    changed = _first_line(*git, "status", "--porcelain", "--", ".", ":!benchmarks/results")
    return f"{commit}-dirty" if commit and changed else commit


def _machine() -> dict[str, str | None]:
    return {"arch": platform.machine(), "cpu": _cpu(), "system": platform.system()}


def _cpu() -> str | None:
    info = Path("/proc/cpuinfo")
    names = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in names if line.startswith("model name")), None)


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": sys.version.split()[0]}
    for package in ("numpy", "torch", "pyarrow", "pyosys"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found | {
        "iverilog": _first_line("iverilog", "-V"),
        "verilator": _first_line("verilator", "--version"),
    }


def _first_line(*command: str) -> str | None:
    try:
        shown = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return next(iter(shown.stdout.splitlines()), None)
