"""Whether the storage planner's measure ranks caches as the accuracy behind them does.

From each trunk (ResNet-20 of width 8, warmed up on augmented Fashion-MNIST, frozen behind its
second stage) the planner measures its candidates. Some of them, from the smallest to the largest,
are then built in full and trained on for equal epochs, and the planner's map error is held against
the accuracy on flipped and shifted test images: their rank correlation is what the planner is
worth. Estimated bytes and build times stand beside the real ones.

python benchmarks/freezelib_planner.py [--seeds 0 1] [--samples 4000] [--epochs 8]
"""

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path

import fashion
import torch
from harness import save
from scipy.stats import spearmanr
from torch import nn

from freezelib import (
    Augmentation,
    CacheLoader,
    CacheStore,
    FrozenImages,
    FrozenPrefix,
    find_cuts,
    plan_storage,
    split,
)
from freezelib.storage_plan import Candidate

CUT, WARM_UP_EPOCHS, BATCH = 7, 8, 128
AUGMENTATION = Augmentation(views=("hflip",), shift_pixels=fashion.SHIFT_PIXELS)
TRAINED = (  # (codec, stored)
    ("int8+lz4", "0.0% of channels again"),
    ("int8+lz4", "25.0% of channels again by corr"),
    ("int8+lz4", "0.0% of channels again, corrected"),
    ("int8+lz4", "25.0% of channels again by error_energy, corrected"),
    ("int8+lz4", "every channel twice"),
    ("int8+lz4", "2 views"),
    ("int4+zstd", "2 views"),
    ("int4+zstd", "4 views"),
    ("int4+zstd", "8 views"),
    ("int2+zstd", "0.0% of channels again, corrected"),
    ("int2+zstd", "4 views"),
)


def main() -> None:
    """Measure, train, and compare the two orders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = fashion.load(options.samples)
    runs = [run for seed in options.seeds for run in of_one_trunk(seed, data, options)]
    rows = table(runs)
    for row in rows:
        print(row)
    trained = [row for row in rows if row["map_error"] is not None]
    order = {
        test: float(spearmanr([r["map_error"] for r in trained], [r[test] for r in trained])[0])
        for test in fashion.TEST_SETS
    }
    print("rank correlation of map error and accuracy:", order)
    result = {"options": vars(options), "rows": rows, "runs": runs, "rank_correlation": order}
    save("freezelib_planner", result)


def of_one_trunk(
    seed: int, data: fashion.Fashion, options: argparse.Namespace
) -> list[dict[str, object]]:
    """Every arm from one trunk."""
    trunk = fashion.warm_trunk(
        "resnet20:width=8",
        seed=seed,
        epochs=WARM_UP_EPOCHS,
        augmentation=AUGMENTATION,
        data=data.train,
    )
    began = time.perf_counter()
    plan = plan_storage(
        FrozenPrefix(halves(trunk)[0]),
        data.train,
        budget_bytes=10**10,
        augmentation=AUGMENTATION,
    )
    plan_wall_s = time.perf_counter() - began
    print(plan, f"\nplanned in {plan_wall_s:.1f} s", flush=True)
    found = {(c.recipe.codec, c.stored): c for c in plan.candidates}
    runs = []
    for candidate in (None, *(found[arm] for arm in TRAINED)):
        run = {"seed": seed, **train(copy.deepcopy(trunk), candidate, data, options, seed)}
        runs.append(run | {"plan_wall_s": plan_wall_s})
        print(runs[-1], flush=True)
    return runs


def halves(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The model at its freeze point."""
    example = torch.zeros(2, 1, 28, 28)
    return split(model, find_cuts(model, example)[CUT - 1], example_input=example)


def train(
    model: nn.Module,
    candidate: Candidate | None,
    data: fashion.Fashion,
    options: argparse.Namespace,
    seed: int,
) -> dict[str, object]:
    """Train the suffix on a candidate's cache, or on the exact maps if there is none."""
    prefix, suffix = halves(model)
    frozen = FrozenPrefix(prefix)
    with tempfile.TemporaryDirectory() as folder:
        if candidate is None:
            about = {"arm": "online", "map_error": None}
            source = FrozenImages(data.train, frozen)
        else:
            source = CacheStore(Path(folder)).get_or_build(
                candidate.recipe, prefix=frozen, data=data.train
            )
            about = {
                "arm": f"{candidate.recipe.codec}, {candidate.stored}",
                "map_error": candidate.map_error,
                "planned_bytes": candidate.cache_bytes,
                "cache_bytes": source.manifest.cache_bytes,
                "planned_build_s": candidate.build_s,
                "build_s": source.manifest.build_wall_s,
            }
        loader = CacheLoader(source, batch_size=BATCH, seed=seed, augmentation=AUGMENTATION)
        optimizer = fashion.sgd(suffix, lr=0.1)
        for epoch in range(options.epochs):
            suffix.train()
            for step, (maps, labels) in enumerate(loader.epoch(epoch)):
                done = (epoch + step / loader.num_batches()) / options.epochs
                optimizer.param_groups[0]["lr"] = 0.1 * (1 - done)
                fashion.sgd_step(suffix, optimizer, maps, labels)
    return about | {name: fashion.accuracy(model, test) for name, test in data.tests.items()}


def table(runs: list[dict[str, object]]) -> list[dict[str, object]]:
    """Means over the seeds, arm by arm."""
    rows = []
    for arm in dict.fromkeys(run["arm"] for run in runs):
        mine = [run for run in runs if run["arm"] == arm]
        row: dict[str, object] = {"arm": arm, "n": len(mine)}
        for key in mine[0]:
            if key not in ("arm", "seed"):
                values = [run[key] for run in mine]
                row[key] = None if None in values else statistics.fmean(values)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
