"""What freezing and caching save in time: three trainings of equal epochs on all of Fashion-MNIST.

Full training, freezing at each step (the frozen layers run, without a backward pass), and freezing
with a cache, builds included. The three take turns epoch by epoch in one process, so that whatever
else the machine does falls on all of them alike; the clock covers reading, augmentation, training
steps, scoring, prefix forward, encoding and writing. Beside the ratios stands what the
multiply-accumulates allow, a backward pass counted as two forward passes.

python benchmarks/freezelib_timing.py [--samples 60000] [--epochs 5] [--freeze-after 1] [--cut 7]
"""

import argparse
import copy
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import fashion
import torch
from harness import save

from freezelib import (
    Augmentation,
    CacheRecipe,
    CacheStore,
    FreezeTrainer,
    TrainerConfig,
    find_cuts,
    get_model,
)
from freezelib.policies import Guards

AUGMENTATION = Augmentation(views=("hflip",), shift_pixels=fashion.SHIFT_PIXELS)


def main() -> None:
    """Train three times, turn by turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--freeze-after", type=int, default=1)
    parser.add_argument("--cut", type=int, default=7)
    parser.add_argument("--model", default="resnet20:width=8")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = fashion.load(options.samples)
    torch.manual_seed(0)
    model = get_model(options.model, in_channels=1, num_classes=10)
    cut = find_cuts(model, data.train.read(slice(0, 2)))[options.cut - 1]
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            name: FreezeTrainer(
                copy.deepcopy(model), data.train, config, store=CacheStore(Path(folder) / name)
            )
            for name, config in trainings(options).items()
        }
        rows = take_turns(trainers, options.epochs)
        for name, trainer in trainers.items():
            tests = {t: fashion.accuracy(trainer.model, d) for t, d in data.tests.items()}
            rows[name] |= {"accuracy": tests, "epochs": trainer.fit()}
    for name, row in rows.items():
        for clock in ("wall_s", "cpu_s"):
            row[f"full over this, {clock}"] = rows["full"][clock] / row[clock]
        print(name, {key: value for key, value in row.items() if key != "epochs"})
    frozen = 1 - options.freeze_after / options.epochs
    share = cut.prefix_mac_share
    allowed = {
        "frozen online": 1 / (1 - frozen * share * 2 / 3),
        "frozen and cached, without builds": 1 / (1 - frozen * share),
    }
    print("the multiply-accumulates allow", allowed)
    save(
        "freezelib_timing",
        {"options": vars(options), "rows": rows, "prefix_mac_share": share, "allowed": allowed},
    )


def trainings(options: argparse.Namespace) -> dict[str, TrainerConfig]:
    """The three of them."""
    frozen = TrainerConfig(
        epochs=options.epochs,
        augmentation=AUGMENTATION,
        policy=f"manual:{options.freeze_after}={options.cut}",
        guards=Guards(warmup=0, max_fraction=1, break_even=0),
        schedule="int8+lz4",
        recipe=CacheRecipe(scorer="error_energy", correct=True),
    )
    return {
        "full": replace(frozen, policy="never"),
        "frozen online": replace(frozen, cached=False),
        "frozen and cached": frozen,
    }


def take_turns(trainers: dict[str, FreezeTrainer], epochs: int) -> dict[str, dict[str, float]]:
    """One epoch of each, again and again; wall time and CPU time of each."""
    rows: dict[str, dict[str, float]] = {n: {"wall_s": 0.0, "cpu_s": 0.0} for n in trainers}
    for epoch in range(epochs):
        for name, trainer in trainers.items():
            wall, cpu = time.perf_counter(), cpu_s()
            row = trainer.fit(until=epoch + 1)[-1]
            rows[name]["wall_s"] += time.perf_counter() - wall
            rows[name]["cpu_s"] += cpu_s() - cpu
            print(f"epoch {epoch} {name:18} {time.perf_counter() - wall:7.1f} s", row, flush=True)
    return rows


def cpu_s() -> float:
    """CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
