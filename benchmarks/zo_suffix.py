"""Zeroth-order on a cached suffix against zeroth-order through the whole network.

A small residual network is trained on the bundled 8x8 digits and then adapted to digits rotated by
30 degrees with noise. The prefix is frozen at a cut and its output for every sample kept in
memory, once; the optimizer then drives the suffix alone. Equal steps, batch 128, learning rate
falling linearly to zero; wall time covers the adaptation, the building of the cache included.

    python benchmarks/zo_suffix.py [--seeds 3] [--steps 1500]
"""

import argparse
import statistics
import time
from typing import Any

import torch
from harness import save
from sklearn.datasets import load_digits
from torch import Tensor, nn

import zo

SOURCES = ("gaussian", "pool", "lfsr_bank")
RATES = (3e-4, 1e-3)
TUNING_SEED = 100


class Block(nn.Module):
    """Two convolutions with a shortcut; group norm, since running statistics would drift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(4, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(4, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return torch.relu(x + self.body(x))


def network() -> nn.Sequential:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), *(Block(32) for _ in range(4)), head)


def drifted(images: Tensor, seed: int) -> Tensor:
    angle = torch.tensor(torch.pi / 6)
    turn = torch.stack(
        [
            torch.stack([angle.cos(), -angle.sin(), torch.tensor(0.0)]),
            torch.stack([angle.sin(), angle.cos(), torch.tensor(0.0)]),
        ]
    )
    grid = nn.functional.affine_grid(
        turn.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    turned = nn.functional.grid_sample(images, grid, align_corners=False)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return turned + 0.1 * noise


class Task:
    """One seed's split, pretrained network and drifted data."""

    def __init__(self, seed: int) -> None:
        digits = load_digits()
        order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
        images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16
        labels = torch.tensor(digits.target)[order]
        moved = drifted(images, seed)
        self.train = (moved[700:1300], labels[700:1300])
        self.test = (moved[1300:], labels[1300:])
        torch.manual_seed(seed)
        self.model = network()
        optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        for _ in range(150):
            pick = torch.randint(0, 700, (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(images[pick]), labels[pick]).backward()
            optimizer.step()

    def accuracy(self) -> float:
        """Return the test accuracy in percent."""
        x, y = self.test
        with torch.no_grad():
            return 100 * (self.model(x).argmax(1) == y).float().mean().item()


def adapt(seed: int, cut: int, source: str, lr: float, steps: int) -> dict[str, float]:
    task = Task(seed)
    before = task.accuracy()
    (x, y), batches = task.train, torch.Generator().manual_seed(seed)
    began = time.perf_counter()
    prefix, suffix = task.model[:cut], task.model[cut:]
    with torch.no_grad():
        features = prefix(x)
    optimizer = zo.ZO(suffix, lr=lr, source=source)
    try:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
            pick = torch.randint(0, len(y), (128,), generator=batches)
            batch, labels = features[pick], y[pick]  # decoded once for both forwards
            optimizer.step(
                lambda batch=batch, labels=labels: nn.functional.cross_entropy(
                    suffix(batch), labels
                )
            )
    except zo.DivergedError:
        return {"before": before, "after": 0.0, "ms": 0.0, "numbers": optimizer.num_weights}
    optimizer.flush()
    took = time.perf_counter() - began
    return {
        "before": before,
        "after": task.accuracy(),
        "ms": 1e3 * took / steps,
        "numbers": optimizer.num_weights,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for cut in (4, 3, 0):
        for source in SOURCES:
            lr = max(
                RATES, key=lambda rate: adapt(TUNING_SEED, cut, source, rate, given.steps)["after"]
            )
            runs = [adapt(seed, cut, source, lr, given.steps) for seed in range(given.seeds)]
            row = {key: statistics.mean(run[key] for run in runs) for key in runs[0]}
            row["accuracies"], row["lr"] = [run["after"] for run in runs], lr
            result[f"cut {cut}, {source}"] = row
            print(
                f"  after module {cut}, {source:13} lr {lr:.0e}: {row['before']:.1f} ->"
                f" {row['after']:.1f} %, {row['ms']:.2f} ms per step,"
                f" {row['numbers']:.0f} numbers per perturbation",
                flush=True,
            )
            save("zo_suffix", {"unit": "percent, ms", "steps": given.steps, "arms": result})


if __name__ == "__main__":
    main()
