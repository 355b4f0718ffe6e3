"""Zeroth-order on a cached suffix against zeroth-order through the whole network.

A small residual network with group norm is trained on the bundled 8x8 digits by Adam, and then
adapted to digits that are turned by 30 degrees, with noise. An arm trains either all of it, on the
images, or what lies behind a cut, on a real feature cache (``int8+lz4``) of the frozen rest. All
arms of a seed see the same samples in the same batches of 64, each decoded once for both
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
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fashion
import torch
from harness import save, spread
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from zo_tuning import TUNING_SEED, choose_rate

import zo
from freezelib import CacheLoader, CacheRecipe, CacheStore, FrozenPrefix, ImageChunks, ImageSet
from zo.sources.fresh import Gaussian

BATCH, TURN, CHUNK = 64, 10, 128
SOURCES = ("gaussian", "pool", "lfsr_bank")
CUTS = (0, 3, 4)
Part = tuple[Tensor, Tensor]


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
    """Images ``[n, 1, 8, 8]`` in [0, 1], turned by 30 degrees, with noise."""
    turn = torch.tensor([[math.sqrt(0.75), -0.5, 0.0], [0.5, math.sqrt(0.75), 0.0]])
    grid = functional.affine_grid(
        turn.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    moved = functional.grid_sample(images, grid, align_corners=False)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (moved + 0.1 * noise).clamp(0, 1)


@dataclass(frozen=True)
class Task:
    """One seed's pretrained network and drifted images; validation images are nobody else's."""

    model: nn.Sequential
    train: ImageSet
    validation: Part
    test: Part


@cache
def make_task(seed: int) -> Task:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target)
    fixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(12345))
    kept, rest = fixed[:247], fixed[247:]
    rest = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))]
    moved, later, last = drifted(images, seed), rest[600:1100], rest[1100:]
    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(150):
        pick = rest[torch.randint(0, 600, (64,))]
        optimizer.zero_grad()
        functional.cross_entropy(model(images[pick]), labels[pick]).backward()
        optimizer.step()
    pixels = (255 * moved[later]).round().byte()
    train = ImageSet(images=pixels, labels=labels[later], mean=(0.0,), std=(1.0,), num_classes=10)
    return Task(model, train, (moved[kept], labels[kept]), (moved[last], labels[last]))


class CountedGaussian(Gaussian):
    """A Gaussian source that counts what it draws."""

    drawn = 0

    def draw(self, out: Tensor, generator: torch.Generator) -> None:
        """Fill ``out`` with standard normal numbers, and count them."""
        self.drawn += out.numel()
        super().draw(out, generator)


@dataclass
class Run:
    """One arm on one seed, a step at a time.

    Attributes:
        model: The whole network, whose suffix is trained.
        optimizer: Which drives it.
        build_s: Seconds that the cache took.
        cache_bytes: Its size on disk.
        step_s: Seconds of every step.
        diverged: Whether a loss was not finite; the run then stands still.
    """

    model: nn.Sequential
    optimizer: zo.ZO
    suffix: nn.Module
    loader: CacheLoader
    steps: int
    build_s: float
    cache_bytes: int
    step_s: list[float] = field(default_factory=list)
    diverged: bool = False

    def __post_init__(self) -> None:
        self._rate = self.optimizer.param_groups[0]["lr"]
        self._batches = forever(self.loader)

    def advance(self, count: int) -> None:
        """Do some steps, each timed."""
        for _ in range(count):
            if self.diverged:
                return
            began = time.perf_counter()
            self._step()
            self.step_s.append(time.perf_counter() - began)

    def _step(self) -> None:
        self.optimizer.param_groups[0]["lr"] = self._rate * (1 - len(self.step_s) / self.steps)
        inputs, labels = next(self._batches)
        try:
            self.optimizer.step(lambda: functional.cross_entropy(self.suffix(inputs), labels))
        except zo.DivergedError:
            self.diverged = True

    @torch.no_grad()
    def judged(self, part: Part) -> tuple[float, float]:
        """Accuracy in percent and loss of the whole network."""
        self.optimizer.flush()
        logits = self.model(part[0])
        right = (logits.argmax(1) == part[1]).float().mean().item()
        return 100 * right, functional.cross_entropy(logits, part[1]).item()


def forever(loader: CacheLoader) -> Iterator[Part]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def start(seed: int, cut: int, source: str, lr: float, steps: int, folder: Path) -> Run:
    """Build the cache of an arm, if it has a prefix, and its optimizer."""
    task = make_task(seed)
    model = copy.deepcopy(task.model)
    began = time.perf_counter()
    chunks: Any = ImageChunks(task.train, chunk_samples=CHUNK)
    size = 0
    if cut:
        prefix = FrozenPrefix(model[:cut])
        recipe = CacheRecipe(
            prefix_digest=prefix.digest,
            data_fingerprint=task.train.fingerprint,
            codec="int8+lz4",
            chunk_samples=CHUNK,
        )
        # a store of its own, so that every arm pays for its cache
        chunks = CacheStore(folder / f"{seed}-{cut}-{source}-{lr}").get_or_build(
            recipe, prefix=prefix, data=task.train
        )
        size = chunks.manifest.cache_bytes
    built = time.perf_counter() - began if cut else 0.0
    suffix = model[cut:]
    made = CountedGaussian(seed) if source == "gaussian" else f"{source}:seed={seed}"
    optimizer = zo.ZO(suffix, lr=lr, source=made)
    loader = CacheLoader(chunks, batch_size=BATCH, seed=seed, prefetch=0)
    return Run(model, optimizer, suffix, loader, steps, built, size)


def tuned(cut: int, source: str, steps: int, folder: Path) -> dict[str, Any]:
    def validate(lr: float) -> float:
        run = start(TUNING_SEED, cut, source, lr, steps, folder)
        run.advance(steps)
        return math.inf if run.diverged else run.judged(make_task(TUNING_SEED).validation)[1]

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
    arms = [(cut, source) for cut in CUTS for source in SOURCES]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tuning = {}
        for arm in arms:
            tuning[arm] = tuned(*arm, given.steps, folder)
            print(f"  cut {arm[0]}, {arm[1]}: {tuning[arm]}", flush=True)
        rates = {arm: tuning[arm]["lr"] for arm in arms}
        runs: dict[tuple[int, str], list[dict[str, Any]]] = {arm: [] for arm in arms}
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
