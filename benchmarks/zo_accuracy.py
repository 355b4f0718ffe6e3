"""What a perturbation source is worth: adaptation of a pretrained network to drifted digits.

The bundled 8x8 digits; a bias-free network 64-256-256-16 (86,016 weights) is trained by Adam on
700 originals, then by a zeroth-order optimizer on 600 others that are shifted by one pixel, and
tested on the remaining 497, shifted likewise. Two-sided, one perturbation per step, eps 1e-3,
batch 64, learning rate falling linearly to zero. A seed stands for the split, the pretrained
network and the batches, and is the same in all arms. The arms of ``sources`` choose their learning
rate alike, the better of two on a seed that is not reported; the other studies name theirs.

    python benchmarks/zo_accuracy.py --seeds 5 --studies sources
    python benchmarks/zo_accuracy.py --seeds 3 --studies curve scaling leap bits
"""

import argparse
import json
import statistics
from typing import Any

import torch
from harness import RESULTS, save
from sklearn.datasets import load_digits
from torch import Tensor, nn

import zo

RATES = (5e-4, 1e-3)
TUNING_SEED = 100

Arm = dict[str, Any]

SOURCES: dict[str, Arm] = {
    "gaussian": {"source": "gaussian"},
    "pool 4093": {"source": "pool"},
    "bank 31x8": {"source": "lfsr_bank"},
    "rademacher": {"source": "rademacher"},
    "uniform": {"source": "uniform"},
}
CURVE: dict[str, Arm] = {
    address: {"source": address, "lr": 1e-3}
    for address in (
        "pool:size=4096,phase=fixed",
        "pool:size=31",
        "pool:size=127",
        "pool:size=4095,repair=false",
        "pool:size=509",
        "pool:size=1021",
        "pool:size=8191",
        "lfsr_bank:rotation=none,repair=false",
        "lfsr_bank:num_rngs=15,repair=false",
        "lfsr_bank:num_rngs=1,repair=false",
        "lfsr_bank:repair=false",
        "lfsr_bank:num_rngs=63,repair=false",
    )
}
BITS: dict[str, Arm] = {
    f"pool 4093, {bits} bit": {"source": f"pool:bits={bits}", "lr": 1e-3} for bits in (1, 2, 4, 14)
}
LEAP: dict[str, Arm] = {"bank 31x8, leap 1": {"source": "lfsr_bank:leap=1", "lr": 1e-3}}
SCALING: dict[str, Arm] = {
    "pool, pow2, lr 1e-3": {"source": "pool", "scaling": "pow2", "lr": 1e-3},
    "pool, pow2, lr 1e-3 / 1.32": {"source": "pool", "scaling": "pow2", "lr": 1e-3 / 1.323},
    "pool, none, lr 1e-3": {"source": "pool", "scaling": "none", "lr": 1e-3},
    "pool, none, lr 3e-3": {"source": "pool", "scaling": "none", "lr": 3e-3},
    "pool, exact, lr 1e-3": {"source": "pool", "lr": 1e-3},
    "[0,1) uniform, none, lr 1e-3": {
        "source": "uniform:signed=false",
        "scaling": "none",
        "lr": 1e-3,
    },
}
STUDIES = {
    "sources": SOURCES,
    "curve": CURVE,
    "scaling": SCALING,
    "bits": BITS,
    "leap": LEAP,
}


class Task:
    """One seed's split, pretrained weights and batches."""

    def __init__(self, seed: int) -> None:
        digits = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32) / 16
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        images, labels = images[order], torch.tensor(digits.target)[order]
        shifted = images.roll(1, dims=2)
        self.batches = torch.Generator().manual_seed(seed)
        self.train = (shifted[700:1300].flatten(1), labels[700:1300])
        self.test = (shifted[1300:].flatten(1), labels[1300:])
        self.model = self._pretrained(images[:700].flatten(1), labels[:700], seed)

    @staticmethod
    def _pretrained(x: Tensor, y: Tensor, seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Linear(64, 256, bias=False),
            nn.ReLU(),
            nn.Linear(256, 256, bias=False),
            nn.ReLU(),
            nn.Linear(256, 16, bias=False),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(200):
            pick = torch.randint(0, len(x), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[pick]), y[pick]).backward()
            optimizer.step()
        return model

    def accuracy(self) -> float:
        """Return the test accuracy in percent."""
        with torch.no_grad():
            return 100 * (self.model(self.test[0]).argmax(1) == self.test[1]).float().mean().item()


def run(seed: int, steps: int, arm: Arm) -> float:
    """Return the test accuracy in percent; 0 if training diverged."""
    task = Task(seed)
    x, y = task.train
    optimizer = zo.ZO(task.model, **({"lr": 1e-3} | arm))
    rate = optimizer.param_groups[0]["lr"]
    try:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            pick = torch.randint(0, len(x), (64,), generator=task.batches)
            batch, labels = x[pick], y[pick]
            optimizer.step(
                lambda batch=batch, labels=labels: nn.functional.cross_entropy(
                    task.model(batch), labels
                )
            )
    except zo.DivergedError:
        return 0.0
    return task.accuracy()


def study(arms: dict[str, Arm], *, seeds: int, steps: int) -> dict[str, Any]:
    table = {}
    for name, arm in arms.items():
        if "lr" not in arm:
            arm = {
                **arm,
                "lr": max(RATES, key=lambda lr: run(TUNING_SEED, steps, {**arm, "lr": lr})),
            }
        scores = [run(seed, steps, arm) for seed in range(seeds)]
        optimizer = zo.ZO(Task(0).model, **arm)
        row = {
            "mean": statistics.mean(scores),
            "stdev": statistics.stdev(scores) if seeds > 1 else None,
            "scores": scores,
            "lr": arm["lr"],
            "lr_equiv": optimizer.lr_equiv,
            "eps_equiv": optimizer.eps_equiv,
            "distinct_directions": str(optimizer.distinct_directions),
        }
        table[name] = row
        print(
            f"  {name:42} {row['distinct_directions']:>6} directions, lr {arm['lr']:.1e}:"
            f" {row['mean']:5.1f} +- {row['stdev'] or 0:.1f}",
            flush=True,
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "zo_accuracy.json"
    result = json.loads(path.read_text())["studies"] if path.exists() else {}
    print(f"zero-shot: {statistics.mean(Task(s).accuracy() for s in range(given.seeds)):.1f} %")
    for name in given.studies:
        print(name)
        result[name] = study(STUDIES[name], seeds=given.seeds, steps=given.steps)
        save("zo_accuracy", {"unit": "percent", "steps": given.steps, "studies": result})


if __name__ == "__main__":
    main()
