"""Timing and reporting that the benchmarks share.

Cases of one table are measured in turns within one run, so that whatever else the machine does
falls on all of them alike; a figure is a median with its quartiles.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from reporting import RESULTS, provenance


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


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result beside the others; its rows carry their own number of rounds."""
    settings = {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(), **settings, **result}, indent=1) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parent.parent)}")
