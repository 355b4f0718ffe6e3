"""What caching costs in accuracy: every way to augment cached maps against the online oracle.

A ResNet-20 (of width 8) is warmed up on augmented Fashion-MNIST images (random flips, shifts of
up to 4 pixels), then frozen at the end of its second stage; all arms of a seed start from there
and train the rest for equal epochs. Arms are judged on raw test images through the whole model: as
they are, and flipped and shifted, since only the latter can tell whether an augmentation did its
work.

python benchmarks/freezelib_accuracy.py [--seeds 0 1 2] [--samples 10000] [--epochs 10]
"""

import argparse
import copy
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import fashion
import torch
from harness import save
from reporting import RESULTS
from torch import nn

from freezelib import (
    Augmentation,
    CacheRecipe,
    CacheStore,
    FreezeTrainer,
    FrozenPrefix,
    TrainerConfig,
    find_cuts,
    plan_storage,
    split,
)
from freezelib.policies import Guards

CUT, WARM_UP_EPOCHS = 7, 8
AUGMENTATION = Augmentation(views=("hflip",), shift_pixels=fashion.SHIFT_PIXELS)
ORACLE, PLANNED = "frozen, online", "planner, 64 MB"
PLAN_BYTES = 64_000_000  # about what the similarity-aware cache takes at 8 bits
RESULT = RESULTS / "freezelib_accuracy.json"


def arms(epochs: int, seed: int) -> dict[str, TrainerConfig]:
    """The arms by name."""
    base = TrainerConfig(
        epochs=epochs,
        seed=seed,
        augmentation=AUGMENTATION,
        policy=f"manual:0={CUT}",
        guards=Guards(warmup=0, max_fraction=1, break_even=0),
        schedule="int8+lz4",
        recipe=CacheRecipe(),
    )

    def cached(codec: str = "int8+lz4", **recipe: object) -> TrainerConfig:
        return replace(base, schedule=codec, recipe=replace(base.recipe, **recipe))

    return {
        "full training": replace(base, policy="never"),
        ORACLE: replace(base, cached=False),
        "cached, no augmentation": replace(base, augmentation=Augmentation()),
        "cached, naive": cached(scorer="none"),
        "similarity-aware 25 %": cached(scorer="corr"),
        "corrected": cached(scorer="none", correct=True),
        "corrected, error energy 25 %": cached(scorer="error_energy", correct=True),
        "stored views 4, int4": cached("int4+lz4", stored_views=4),
        PLANNED: base,  # its recipe is planned for each trunk
    }


def main() -> None:
    """Train every arm from every trunk and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--model", default="resnet20:width=8")
    parser.add_argument("--only", help="arms whose name contains this")
    parser.add_argument("--add", action="store_true", help="to the runs of the last result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = fashion.load(options.samples)
    runs = json.loads(RESULT.read_text())["runs"] if options.add else []
    for seed in options.seeds:
        trunk = fashion.warm_trunk(
            options.model,
            seed=seed,
            epochs=WARM_UP_EPOCHS,
            augmentation=AUGMENTATION,
            data=data.train,
        )
        print(f"seed {seed}, trunk: {judged(trunk, data)}", flush=True)
        for name, config in arms(options.epochs, seed).items():
            if options.only is None or options.only in name:
                if name == PLANNED:
                    config = planned(trunk, data, config)
                runs.append({"arm": name, "seed": seed, **run(trunk, data, config)})
                print(runs[-1], flush=True)
    rows = table(runs)
    for row in rows:
        print(row)
    save("freezelib_accuracy", {"options": vars(options), "rows": rows, "runs": runs})


def planned(trunk: nn.Module, data: fashion.Fashion, config: TrainerConfig) -> TrainerConfig:
    """What the storage planner would cache of a trunk within the budget."""
    example = data.train.read(slice(0, 2))
    model = copy.deepcopy(trunk)
    head, _ = split(model, find_cuts(model, example)[CUT - 1], example_input=example)
    plan = plan_storage(
        FrozenPrefix(head), data.train, budget_bytes=PLAN_BYTES, augmentation=AUGMENTATION
    )
    print(plan, flush=True)
    return replace(config, schedule=plan.chosen.recipe.codec, recipe=plan.chosen.recipe)


def run(trunk: nn.Module, data: fashion.Fashion, config: TrainerConfig) -> dict[str, object]:
    """One arm from one trunk."""
    model = copy.deepcopy(trunk)
    with tempfile.TemporaryDirectory() as folder:
        trainer = FreezeTrainer(model, data.train, config, store=CacheStore(Path(folder)))
        rows = trainer.fit()
    return {
        **judged(model, data),
        "cache_bytes": rows[-1]["cache_bytes"],
        "train_wall_s": sum(row["train_wall_s"] for row in rows),
        "build_wall_s": sum(row["build_wall_s"] for row in rows),
        "loss": rows[-1]["loss"],
    }


def judged(model: nn.Module, data: fashion.Fashion) -> dict[str, float]:
    """Accuracy on every test set, in percent."""
    return {name: fashion.accuracy(model, test) for name, test in data.tests.items()}


def table(runs: list[dict[str, object]]) -> list[dict[str, object]]:
    """One row per arm: mean accuracy per test set, and the paired difference to the oracle."""
    rows = []
    for arm in dict.fromkeys(run["arm"] for run in runs):
        mine = [run for run in runs if run["arm"] == arm]
        row: dict[str, object] = {"arm": arm, "cache_bytes": mine[0]["cache_bytes"]}
        for test in fashion.TEST_SETS:
            values = [run[test] for run in mine]
            oracle = {run["seed"]: run[test] for run in runs if run["arm"] == ORACLE}
            row[test] = fashion.interval(values)
            if all(run["seed"] in oracle for run in mine):
                pairs = [oracle[run["seed"]] for run in mine]
                row[f"{test} against oracle"] = fashion.paired(values, pairs)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
