"""Zeroth-order on a cached suffix against zeroth-order through the whole network.

A small residual network with group norm is trained on the bundled 8x8 digits by Adam, and then
adapted to digits that are turned by 30 degrees, with noise. An arm trains either all of it, on the
images, or what lies behind a cut, on a real feature cache (``int8+lz4``) of the frozen rest. All
arms of a seed see the same samples in the same batches of 32, each decoded once for both
forwards; equal steps; the learning rate falls linearly to 0 and is chosen for each arm by
``zo_tuning.choose_rate``. Accuracy is that of the whole network on test images.

Time: the arms of a seed take turns of ten steps. A step's time covers reading the batch, both
forwards and the passes over the weights; ``wall_s`` adds up the steps of a run and the building of
its cache.

Random numbers: every draw of a fresh source is counted where it is made. A pool or bank draws
nothing in a step: its period is made once, before training.

    python benchmarks/zo_suffix.py [--seeds 5] [--steps 1000]
"""

import argparse
import copy
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import fashion
import torch
from harness import save, spread
from torch import nn
from torch.nn import functional
from zo_suffix_runs import BATCH, CHUNK, CountedGaussian, Run, forever, start
from zo_suffix_task import Part, make_task
from zo_tuning import choose_rate

from freezelib import CacheLoader, ImageChunks

TURN = 10
TUNING_SEEDS = (100, 101)
ARMS = (
    (0, "gaussian"),
    (0, "pool"),
    (0, "lfsr_bank"),
    (3, "pool"),
    (4, "gaussian"),
    (4, "pool"),
    (4, "lfsr_bank"),
)


def tuned(cut: int, source: str, steps: int, folder: Path) -> dict[str, Any]:
    def validate(lr: float) -> float:
        losses = []
        for seed in TUNING_SEEDS:
            run = start(seed, cut, source, lr, steps, folder)
            run.advance(steps)
            if run.diverged:
                return math.inf
            losses.append(run.judged(make_task(seed).validation)[1])
        return statistics.fmean(losses)

    return choose_rate(validate)


def seed_runs(
    seed: int, rates: dict[tuple[int, str], float], steps: int, folder: Path
) -> dict[tuple[int, str], dict[str, Any]]:
    """All arms of a seed, in turns."""
    runs = {arm: start(seed, *arm, lr, steps, folder) for arm, lr in rates.items()}
    for _ in range(steps // TURN):
        for run in runs.values():
            run.advance(TURN)
    return {arm: told(run, make_task(seed).test) for arm, run in runs.items()}


def told(run: Run, test: Part) -> dict[str, Any]:
    source, weights = run.optimizer.source, run.optimizer.num_weights
    fresh = isinstance(source, CountedGaussian)
    return {
        "accuracy": run.judged(test)[0],
        "diverged": run.diverged,
        "step_s": run.step_s,
        "wall_s": run.build_s + sum(run.step_s),
        "build_s": run.build_s,
        "cache_bytes": run.cache_bytes,
        "weights": weights,
        "drawn_per_step": source.drawn / max(1, len(run.step_s)) if fresh else 0,
        "made_once": 0 if fresh else source.period,
        "distinct_directions": str(run.optimizer.distinct_directions),
    }


def summary(
    told_runs: list[dict[str, Any]], reference: list[dict[str, Any]], tuning: dict[str, Any]
) -> dict[str, Any]:
    """One row of the table; ``reference`` is the same source through the whole network."""
    scores = [run["accuracy"] for run in told_runs]
    first = told_runs[0]
    return {
        "accuracy": fashion.interval(scores),
        "scores": scores,
        "over_whole": fashion.paired(scores, [run["accuracy"] for run in reference]),
        "diverged": sum(run["diverged"] for run in told_runs),
        "step_ms": spread([second for run in told_runs for second in run["step_s"]]),
        "wall_s": statistics.median(run["wall_s"] for run in told_runs),
        "wall_over_whole": statistics.median(
            run["wall_s"] / whole["wall_s"]
            for run, whole in zip(told_runs, reference, strict=True)
        ),
        "build_s": statistics.median(run["build_s"] for run in told_runs),
        "tuning": tuning,
        **{
            key: first[key]
            for key in (
                "weights",
                "drawn_per_step",
                "made_once",
                "cache_bytes",
                "distinct_directions",
            )
        },
    }


def references(seeds: int, steps: int) -> dict[str, Any]:
    """The network before, and after Adam with backpropagation on the same batches."""
    before, after = [], []
    for seed in range(seeds):
        task = make_task(seed)
        before.append(_accuracy(task.model, task.test))
        model = copy.deepcopy(task.model)
        chunks = ImageChunks(task.train, chunk_samples=CHUNK)
        batches = forever(CacheLoader(chunks, batch_size=BATCH, seed=seed, prefetch=0))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
            inputs, labels = next(batches)
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        after.append(_accuracy(model, task.test))
    return {"zero-shot": fashion.interval(before), "backprop, Adam": fashion.interval(after)}


@torch.no_grad()
def _accuracy(model: nn.Module, part: Part) -> float:
    return 100 * (model(part[0]).argmax(1) == part[1]).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tuning = {}
        for arm in ARMS:
            tuning[arm] = tuned(*arm, given.steps, folder)
            print(f"  cut {arm[0]}, {arm[1]}: {tuning[arm]}", flush=True)
        rates = {arm: tuning[arm]["lr"] for arm in ARMS}
        runs: dict[tuple[int, str], list[dict[str, Any]]] = {arm: [] for arm in ARMS}
        for seed in range(given.seeds):
            for arm, outcome in seed_runs(seed, rates, given.steps, folder).items():
                runs[arm].append(outcome)
            report(runs, tuning, steps=given.steps, seeds=seed + 1)
    report(runs, tuning, steps=given.steps, seeds=given.seeds, full=True)


def report(
    runs: dict[tuple[int, str], list[dict[str, Any]]],
    tuning: dict[tuple[int, str], dict[str, Any]],
    *,
    steps: int,
    seeds: int,
    full: bool = False,
) -> None:
    """Print and save what there is so far."""
    rows = {
        f"cut {cut}, {source}": summary(outcomes, runs[0, source], tuning[cut, source])
        for (cut, source), outcomes in runs.items()
    }
    extra = {"references": references(seeds, steps)} if full else {}
    print(f"{seeds} seeds, {steps} steps", extra)
    for name, row in rows.items():
        print(
            f"  {name:18} lr {row['tuning']['lr']:.2g}: {row['accuracy']['mean']:.1f} +-"
            f" {row['accuracy']['half_width']:.1f} %, over whole {row['over_whole']['mean']:+.1f}"
            f" +- {row['over_whole']['half_width']:.1f}, {row['step_ms']['median']:.2f} ms"
            f" ({row['step_ms']['low']:.2f}-{row['step_ms']['high']:.2f}), wall"
            f" {row['wall_s']:.1f} s ({row['wall_over_whole']:.2f}), {row['weights']} weights,"
            f" {row['drawn_per_step']:.0f} drawn per step, {row['made_once']} once",
            flush=True,
        )
    save(
        "zo_suffix", {"unit": "percent, ms", "steps": steps, "seeds": seeds, **extra, "arms": rows}
    )


if __name__ == "__main__":
    main()
