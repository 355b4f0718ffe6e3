"""When each policy freezes, what that saves, and what it costs in accuracy.

A ResNet-20 (of width 8) is trained from scratch on Fashion-MNIST with random flips, once with each
policy under the same guards, frozen layers cached at 8 bits. What is saved is counted in
multiply-accumulates (a frozen and cached block saves its forward and its backward pass) and
measured in seconds, builds included. Beside it stands what a policy sees: gradient norm, weight
delta and plasticity of each block in a training in which nothing is frozen, and what it takes to
look.

python benchmarks/freezelib_policies.py [--seeds 0 1 2] [--samples 4000] [--epochs 20]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import fashion
import torch
from harness import save
from torch import nn

from freezelib import (
    Augmentation,
    CacheLoader,
    CacheStore,
    FreezeTrainer,
    ImageChunks,
    TrainerConfig,
    find_cuts,
    get_model,
)
from freezelib.policies import EpochStats, Guards, Observer, get_policy

MODEL, BATCH = "resnet20:width=8", 128
AUGMENTATION = Augmentation(views=("hflip",))
POLICIES = (
    "never",
    "budget",
    "linear:start=0.3",
    "alpha",
    "gradnorm",
    "plasticity",
    "weight_delta",
)
MEASURES = ("gradient_norm", "weight_delta", "plasticity")


def main() -> None:
    """Watch one training, then train with every policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = fashion.load(options.samples)
    seen = watch(data, options.epochs)
    runs = []
    for seed in options.seeds:
        for policy in options.policies:
            runs.append({"policy": policy, "seed": seed, **train(policy, seed, data, options)})
            print(runs[-1], flush=True)
    rows = table(runs)
    for row in rows:
        print(row)
    result = {"options": vars(options), "rows": rows, "runs": runs, "watched": seen}
    save("freezelib_policies", result)


def fresh(seed: int) -> nn.Module:
    """The model before its first step."""
    torch.manual_seed(seed)
    return get_model(MODEL, in_channels=1, num_classes=10)


def train(
    policy: str, seed: int, data: fashion.Fashion, options: argparse.Namespace
) -> dict[str, object]:
    """One training with one policy."""
    model = fresh(seed)
    config = TrainerConfig(
        epochs=options.epochs,
        batch_size=BATCH,
        seed=seed,
        augmentation=AUGMENTATION,
        policy=policy,
        guards=Guards(),
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = FreezeTrainer(model, data.train, config, store=CacheStore(Path(folder))).fit()
    points = [row["k"] for row in rows]
    shares = [0.0, *(cut.prefix_mac_share for cut in cuts_of(model))]
    return {
        "freeze_points": points,
        "macs_saved": statistics.fmean(shares[k] for k in points),
        "train_wall_s": sum(row["train_wall_s"] for row in rows),
        "build_wall_s": sum(row["build_wall_s"] for row in rows),
        "events": sum(a != b for a, b in zip([0, *points], points, strict=False)),
        **{name: fashion.accuracy(model, test) for name, test in data.tests.items()},
    }


def watch(data: fashion.Fashion, epochs: int) -> dict[str, object]:
    """What is to be seen of a training without freezing, and what every policy makes of it."""
    model = fresh(0)
    cuts = cuts_of(model)
    observer = Observer(model, cuts, data.train.read(slice(0, 64)), MEASURES)
    optimizer = fashion.sgd(model, lr=0.1)
    loader = CacheLoader(
        ImageChunks(data.train), batch_size=BATCH, seed=0, augmentation=AUGMENTATION
    )
    policies = {address: get_policy(address) for address in POLICIES}
    points: dict[str, list[int]] = {address: [] for address in POLICIES}
    seen, looking_s, began = [], 0.0, time.perf_counter()
    for epoch in range(epochs):
        model.train()
        for step, (images, labels) in enumerate(loader.epoch(epoch)):
            done = (epoch + step / loader.num_batches()) / epochs
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - done)
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            looked = time.perf_counter()
            observer.after_backward()
            looking_s += time.perf_counter() - looked
            optimizer.step()
        looked = time.perf_counter()
        seen.append(observer.end_epoch())
        looking_s += time.perf_counter() - looked
        for address, policy in policies.items():
            k = points[address][-1] if points[address] else 0
            stats = EpochStats(
                epoch=epoch + 1,
                epochs=epochs,
                k=k,
                prefix_mac_share=tuple(cut.prefix_mac_share for cut in cuts),
                **seen[-1],
            )
            decision = Guards().apply(policy.propose(stats), stats, build_s=0.0, saved_s=1.0)
            points[address].append(decision.k)
        print(epoch + 1, {n: rounded(seen[-1][n]) for n in MEASURES}, flush=True)
    wall_s = time.perf_counter() - began
    print(f"looking took {looking_s / wall_s:.1%} of the training; open loop: {points}")
    return {"rows": seen, "looking_share": looking_s / wall_s, "open_loop": points}


def cuts_of(model: nn.Module) -> list:
    return find_cuts(model, torch.zeros(2, 1, 28, 28))


def rounded(values: tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else [float(f"{value:.3g}") for value in values]


def table(runs: list[dict[str, object]]) -> list[dict[str, object]]:
    """One row per policy: means, and the paired differences to the training without freezing."""
    rows = []
    for policy in dict.fromkeys(run["policy"] for run in runs):
        mine = [run for run in runs if run["policy"] == policy]
        row: dict[str, object] = {"policy": policy, "n": len(mine)}
        for name in ("macs_saved", "events", "train_wall_s", "build_wall_s"):
            row[name] = statistics.fmean(run[name] for run in mine)
        unfrozen = [run for run in runs if run["policy"] == "never"]
        for test in fashion.TEST_SETS:
            row[test] = statistics.fmean(run[test] for run in mine)
            pairs = [[run[test] for run in some] for some in (mine, unfrozen)]
            row[f"{test} against never"] = fashion.paired(*pairs)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
