"""An arm of ``zo_suffix.py``: the whole network or a suffix on a cache, a step at a time."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from zo_suffix_task import Part, make_task

import zo
from freezelib import CacheLoader, CacheRecipe, CacheStore, FrozenPrefix, ImageChunks
from zo.sources.fresh import Gaussian

BATCH, CHUNK = 32, 128


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
