"""Peak memory of a step above inference, in numbers.

Each arm runs in processes of its own, and the median counts: forwards first, whose peak resident
memory is the bound; then the peak is reset, and steps follow. ``forwards again`` is the noise of
the measurement. Linux only (``/proc``).

    python benchmarks/zo_memory.py
"""

import json
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
from harness import save
from zo_mezo import LiteralMeZO
from zo_models import MODELS, loss_of

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from peak_memory import peak_mib, reset_peak

import zo

TINY = {
    "pool": "pool:size=31",
    "lfsr_bank": "lfsr_bank:num_rngs=4,bits=4",
    "rademacher": "rademacher",
    "gaussian": "gaussian",
}
LOOKUPS = {"pool, lookups": "pool", "lfsr_bank, lookups": "lfsr_bank"}
ARMS = ["forwards again", *TINY, *LOOKUPS, "literal MeZO"]
RUNS = 3


@torch.no_grad()
def measure(model_name: str, arm: str) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[model_name]().eval()
    closure = loss_of(model, batch=4)
    torch.zeros(10).add_(1)
    _warm_up(arm)
    reset_peak()
    for _ in range(4):
        closure().item()
    inference = peak_mib()
    reset_peak()
    step = {
        "forwards again": lambda: lambda: closure().item(),
        "literal MeZO": lambda: lambda: LiteralMeZO(model, lr=0.0).step(closure),
    }.get(arm, lambda: partial(_optimizer(model, arm).step, closure))()
    for _ in range(3):
        step()
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
    above = peak_mib() - inference
    return {"inference": inference, "above": above, "weights": weights, "share": above / weights}


def _optimizer(model: torch.nn.Module, arm: str) -> zo.ZO:
    lookups = model.lookups if arm in LOOKUPS else ()
    return zo.ZO(model, lr=0.0, source=LOOKUPS.get(arm, arm), lookups=lookups)


def _warm_up(arm: str) -> None:
    """Load the code that the arm runs, on a model of 36 weights: it is no cost of a step."""
    table, layer = torch.nn.Embedding(4, 4), torch.nn.Linear(4, 4)
    tiny = torch.nn.Sequential(table, layer)
    source = TINY.get(LOOKUPS.get(arm, arm), "gaussian")
    optimizer = zo.ZO(tiny, lr=0.0, source=source, lookups=[table] if arm in LOOKUPS else ())
    optimizer.step(lambda: tiny(torch.arange(4)).sum())


def in_process(model_name: str, arm: str) -> dict[str, float]:
    command = [sys.executable, __file__, model_name, arm]
    done = subprocess.run(command, capture_output=True, check=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(*sys.argv[1:])))
        return
    result = {}
    for model_name in MODELS:
        print(f"\n{model_name}: MiB above inference, share of the weights' bytes")
        for arm in ARMS:
            if arm in LOOKUPS and not MODELS[model_name].lookups:
                continue  # its head shares the table
            runs = [in_process(model_name, arm) for _ in range(RUNS)]
            row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            row |= {"runs": [run["above"] for run in runs]}
            result[f"{model_name}, {arm}"] = row
            span = f"({min(row['runs']):.2f}-{max(row['runs']):.2f})"
            print(f"  {arm:18} {row['above']:8.2f} {span:16} {100 * row['share']:6.2f} %")
    save("zo_memory", {"unit": "MiB", "peaks": result})


if __name__ == "__main__":
    main()
