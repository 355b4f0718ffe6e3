"""Timing and reporting that the benchmarks share.

Cases of one table are measured in turns within one run, so that whatever else the machine does
falls on all of them alike; a figure is a median with its quartiles.
"""

import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def interleave(cases: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return wall times in seconds per case, one per round, after one unmeasured round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, case in cases.items():
            began = time.perf_counter()
            case()
            if turn:
                times[name].append(time.perf_counter() - began)
    return times


def spread(times: list[float], *, unit: float = 1e3) -> dict[str, float]:
    """Return median and quartiles, in milliseconds by default."""
    low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {"median": middle * unit, "low": low * unit, "high": high * unit, "n": len(times)}


def ratio(times: dict[str, list[float]], name: str, bound: str) -> float:
    """Return the median over rounds of one case's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[bound], strict=True))


def machine() -> dict[str, Any]:
    """Return where and with what the figures were made."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": commit(),
        "utc": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def commit() -> str:
    """Return the commit that was measured, marked where the tree had changes."""
    git = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result beside the others, with the machine it was made on."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=1) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parent.parent)}")
