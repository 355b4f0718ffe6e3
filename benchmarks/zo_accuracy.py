"""What a perturbation source is worth: adaptation of a pretrained network to drifted images.

Two-sided, one perturbation per step, eps 1e-3, batch 64. Tasks and parts are described in
``zo_tasks.py``, how rates are chosen in ``zo_tuning.py``. Studies:

- ``references``: no adaptation, and Adam with backpropagation on the same batches.
- ``sources``: fresh numbers, pool and bank at their defaults; differences to Gaussian by seed.
- ``curve``: accuracy against distinct directions, pools and banks, repaired and in every trap,
  each at its own rate up to 1e-3, which is the best for Gaussian.
- ``curve_free``: the same without that ceiling. At twice the rate an arm learns more in as many
  steps or diverges, on some seeds and not on others, whatever its directions.
- ``curve_fixed``: the same at half that rate for all, where hardly any arm diverges.
- ``scaling``: modulus scales at the rate that is best for ``exact``, and at the rate that is
  equivalent to it; numbers uniform over [0, 1) as the control.
- ``leap``: a bank with and without leap at every rate of the grid.
- ``bits``: bit widths of a pool; those of a bank are in ``curve``.

    python benchmarks/zo_accuracy.py --task digits --seeds 40 --studies references sources
    python benchmarks/zo_accuracy.py --task digits --reuse --studies curve scaling leap bits
    python benchmarks/zo_accuracy.py --task fashion --seeds 20 --studies references sources
    python benchmarks/zo_accuracy.py --task fashion --reuse --studies curve curve_fixed scaling
    python benchmarks/zo_directions.py
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import fashion
import torch
from harness import RESULTS, save
from zo_tasks import accuracy, backprop, make_optimizer, make_task
from zo_tuning import RATES, Bench, Settings

STEPS = 2000
TUNING_SEEDS = {
    "digits": (100, 101, 102),  # a seed alone takes rates for sound at which others diverge
    "fashion": (100,),
}
CURVE_SEEDS = {"digits": (100, 101, 102, 103, 104, 105), "fashion": (100,)}
CEILING = 1e-3
SOURCES = ("gaussian", "pool", "lfsr_bank", "rademacher", "uniform")
POOLS = (
    "pool:size=4096,phase=fixed",
    "pool:size=4095,repair=false",
    *(f"pool:size={size}" for size in (5, 17, 31, 127, 251, 509, 1021, 4093, 8191)),
)
BANKS = (
    "lfsr_bank:num_rngs=1,bits=4,repair=false",
    "lfsr_bank:rotation=none,repair=false",
    "lfsr_bank:num_rngs=14,bits=4",
    "lfsr_bank:bits=5,repair=false",
    "lfsr_bank:num_rngs=15,repair=false",
    "lfsr_bank:num_rngs=1,repair=false",
    "lfsr_bank:num_rngs=1,bits=7,repair=false",
    "lfsr_bank:num_rngs=7,bits=5,repair=false",
    "lfsr_bank:num_rngs=3,bits=7",
    "lfsr_bank:repair=false",
    "lfsr_bank:num_rngs=63,repair=false",
    "lfsr_bank",
    "lfsr_bank:bits=14",
)
NAIVE: Settings = {"source": "uniform:signed=false", "scaling": "none"}

Arms = Iterator[tuple[str, Settings]]


def sources(bench: Bench) -> Arms:
    yield from ((address, {"source": address}) for address in SOURCES)


def curve(bench: Bench) -> Arms:
    yield from ((address, {"source": address}) for address in (*POOLS, *BANKS))


def curve_fixed(bench: Bench) -> Arms:
    yield from ((arm, {**settings, "lr": CEILING / 2}) for arm, settings in curve(bench))


def bits(bench: Bench) -> Arms:
    for width in (1, 2, 4, 8, 14):
        yield f"pool, {width} bits", {"source": f"pool:bits={width}"}
        for lr in (5e-4, 1e-3):
            yield f"pool, {width} bits, lr {lr:.3g}", {"source": f"pool:bits={width}", "lr": lr}


def leap(bench: Bench) -> Arms:
    for address in ("lfsr_bank", "lfsr_bank:leap=1"):
        yield f"{address}, tuned", {"source": address}
        for lr in (RATES[0] / 2, *RATES):
            yield f"{address}, lr {lr:.3g}", {"source": address, "lr": lr}


def scaling(bench: Bench) -> Arms:
    for address in ("pool", "lfsr_bank"):
        lr = bench.tuned({"source": address})["lr"]
        for scale in ("exact", "pow2", "none"):
            settings = {"source": address, "scaling": scale}
            yield f"{address}, {scale}, equal lr", {**settings, "lr": lr}
            same = lr / _growth(bench, settings)
            if scale != "exact":
                yield f"{address}, {scale}, equivalent lr", {**settings, "lr": same}
    lr = bench.tuned({"source": "pool"})["lr"]
    yield "[0, 1) uniform, none, equal lr", {**NAIVE, "lr": lr}
    yield "[0, 1) uniform, exact, equal lr", {**NAIVE, "scaling": "exact", "lr": lr}
    yield "[0, 1) uniform, none, tuned", NAIVE


def _growth(bench: Bench, settings: Settings) -> float:
    """By how much a scaling multiplies the learning rate."""
    model = make_task(bench.task, 0, bench.steps).model
    return make_optimizer(model, {**settings, "lr": 1.0}, seed=0).lr_equiv


STUDIES = {
    "sources": sources,
    "curve": curve,
    "curve_free": curve,
    "curve_fixed": curve_fixed,
    "scaling": scaling,
    "leap": leap,
    "bits": bits,
}


def references(bench: Bench, seeds: int) -> dict[str, Any]:
    """Test accuracies without adaptation and with backpropagation."""
    tasks = [make_task(bench.task, seed, bench.steps) for seed in range(seeds)]
    before = [accuracy(task.model, task.test) for task in tasks]
    after = [accuracy(backprop(task), task.test) for task in tasks]
    return {
        name: {**fashion.interval(scores), "scores": scores}
        for name, scores in (("zero-shot", before), ("backprop, Adam", after))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TUNING_SEEDS, default="digits")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--studies", nargs="+", default=["references", *STUDIES])
    parser.add_argument("--only", default="", help="arms whose name contains this")
    parser.add_argument("--reuse", action="store_true", help="runs that are in the results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.studies:
        print(f"{given.task}, {name}", flush=True)
        bench = make_bench(given.task, name, reuse=given.reuse)
        if name == "references":
            keep(given.task, name, references(bench, given.seeds))
            continue
        for arm, settings in STUDIES[name](bench):
            if given.only in arm:
                keep(given.task, name, {arm: bench.row(settings, given.seeds)})


def make_bench(task: str, study: str, *, reuse: bool) -> Bench:
    """What a study chooses rates by, with earlier runs if they may be used again."""
    bench = Bench(task, STEPS, TUNING_SEEDS[task])
    if study == "curve":
        grid = (CEILING / 4, CEILING / 2, CEILING)
        bench = Bench(task, STEPS, CURVE_SEEDS[task], grid=grid, ceiling=CEILING)
    for name, rows in earlier().get(task, {}).items() if reuse else ():
        if name != "references":
            bench.reuse(rows, rates=(name == "curve") == (study == "curve"))
    return bench


def keep(task: str, study: str, rows: dict[str, Any]) -> None:
    """Print rows and put them among the results of this and earlier runs."""
    kept = earlier()
    table = kept.setdefault(task, {}).setdefault(study, {})
    table.update(rows)
    reference = kept[task].get("sources", {}).get("gaussian")
    for name, row in rows.items():
        if reference and study != "references":
            both = min(len(row["scores"]), len(reference["scores"]))
            against = reference["scores"][:both]
            row["minus_gaussian"] = fashion.paired(row["scores"][:both], against)
        print(line(name, row), flush=True)
    save(
        "zo_accuracy",
        {
            "unit": "percent",
            "steps": STEPS,
            "tuning_seeds": TUNING_SEEDS,
            "curve_seeds": CURVE_SEEDS,
            "tasks": kept,
        },
    )


def earlier() -> dict[str, Any]:
    """What is among the results, by task and study."""
    path = RESULTS / "zo_accuracy.json"
    return json.loads(path.read_text()).get("tasks", {}) if path.exists() else {}


def line(name: str, row: dict[str, Any]) -> str:
    text = f"  {name:44} {row['mean']:5.1f} +- {row['half_width']:.1f} (n {row['n']})"
    if "lr" in row:
        text += f", {row['distinct_directions']} directions, lr {row['lr']:.2g}"
        text += f" = {row['lr_equiv']:.2g}, {len(row['diverged'])} diverged, {row['wall_s']:.0f} s"
    if "minus_gaussian" in row:
        gap = row["minus_gaussian"]
        text += f", over gaussian {gap['mean']:+.2f} +- {gap['half_width']:.2f}"
    return text


if __name__ == "__main__":
    main()
