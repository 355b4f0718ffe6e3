"""Two adaptations for the zeroth-order benchmarks: a pretrained network meets drifted images.

Both networks are three linear layers without biases. Adam trains them on upright images; what is
then measured is how far a zeroth-order optimizer takes them on images that have drifted.

- ``digits``: the bundled 8x8 digits, 64-256-256-16 (86,016 weights), shifted by one pixel. The
  validation images are the same for every seed and belong to no other part of any seed.
- ``fashion``: Fashion-MNIST averaged to 14x14, 196-256-256-16 (119,808 weights), turned by 15
  degrees. Training images are of the first 50,000; validation ones follow; the test set is the
  official one, whole.

A seed stands for the split, the pretrained weights, the batches and the source's own seed; all
but the last are the same for every arm.
"""

import copy
import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import fashion
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import zo

BATCH = 64
PIXELS = {"digits": 64, "fashion": 196}
WIDTHS = (256, 256, 16)
WEIGHTS = {
    name: sum(a * b for a, b in pairwise((pixels, *WIDTHS))) for name, pixels in PIXELS.items()
}
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """One seed's pretrained network and drifted images.

    Attributes:
        seed: Which.
        model: The pretrained network, which nobody changes.
        train: Drifted images and labels to adapt on.
        validation: Others, to choose learning rates by.
        test: Others, for what is reported.
        picks: Rows of ``train`` per step, ``[steps, batch]``.
    """

    seed: int
    model: nn.Module
    train: Part
    validation: Part
    test: Part
    picks: Tensor


@dataclass(frozen=True)
class Adapted:
    """What an adaptation came to.

    Attributes:
        model: The network; where training diverged, as the last sound step left it.
        diverged: Whether a loss was not finite.
    """

    model: nn.Module
    diverged: bool


def make_task(name: str, seed: int, steps: int) -> Task:
    """One seed of ``digits`` or ``fashion``; each is made once in a process."""
    return {"digits": digits, "fashion": fashion_mnist}[name](seed, steps)


@cache
def digits(seed: int, steps: int) -> Task:
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32) / 16
    fixed = torch.randperm(len(images), generator=torch.Generator().manual_seed(12345))
    kept, rest = fixed[:247], fixed[247:]
    rest = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))]
    labels, drifted = torch.tensor(data.target), images.roll(1, dims=2).flatten(1)
    first = rest[:600]
    model = pretrained(images.flatten(1)[first], labels[first], seed=seed, steps=200, batch=64)
    parts = [(drifted[rows], labels[rows]) for rows in (rest[600:1100], kept, rest[1100:])]
    return Task(seed, model, *parts, picks=batches(500, seed, steps))


@cache
def fashion_mnist(seed: int, steps: int) -> Task:
    data, test = _fashion()
    rows = torch.randperm(50_000, generator=torch.Generator().manual_seed(seed))
    first, later, held = rows[:10_000], rows[10_000:14_000], torch.arange(50_000, 54_000)
    labels = data.labels
    model = pretrained(
        pooled(scaled(data.images[first])), labels[first], seed=seed, steps=1000, batch=128
    )
    train, validation = (
        (pooled(turned(scaled(data.images[some]))), labels[some]) for some in (later, held)
    )
    return Task(seed, model, train, validation, test, picks=batches(4000, seed, steps))


@cache
def _fashion() -> tuple[Any, Part]:
    data = fashion.load(60_000)
    plain = data.tests["plain"]
    return data.train, (pooled(turned(scaled(plain.images))), plain.labels)


def scaled(images: Tensor) -> Tensor:
    return images.float() / 255


def turned(images: Tensor, *, degrees: float = 15) -> Tensor:
    """Images turned about their middle, of the same shape."""
    angle = math.radians(degrees)
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]]
    )
    grid = functional.affine_grid(
        turn.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False)


def pooled(images: Tensor) -> Tensor:
    """Means of 2x2 pixels, flat."""
    return functional.avg_pool2d(images, 2).flatten(1)


def batches(samples: int, seed: int, steps: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, samples, (steps, BATCH), generator=generator)


def pretrained(x: Tensor, y: Tensor, *, seed: int, steps: int, batch: int) -> nn.Module:
    """A network that Adam (learning rate 1e-3) trained on upright images."""
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b, bias=False) for a, b in pairwise((x.shape[1], *WIDTHS))]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        pick = torch.randint(0, len(x), (batch,))
        optimizer.zero_grad()
        functional.cross_entropy(model(x[pick]), y[pick]).backward()
        optimizer.step()
    return model


def adapt(task: Task, settings: dict[str, Any]) -> Adapted:
    """Adapt by a zeroth-order optimizer whose learning rate falls linearly to 0.

    Args:
        task: What to adapt.
        settings: Arguments of ``zo.ZO``. The address of the source is given the task's seed.
    """
    model = copy.deepcopy(task.model)
    optimizer = make_optimizer(model, settings, seed=task.seed)
    (x, y), rate, steps = task.train, settings["lr"], len(task.picks)
    group = optimizer.param_groups[0]
    try:
        for step, pick in enumerate(task.picks):
            group["lr"] = rate * (1 - step / steps)
            batch, labels = x[pick], y[pick]
            optimizer.step(
                lambda batch=batch, labels=labels: functional.cross_entropy(model(batch), labels)
            )
    except zo.DivergedError:
        return Adapted(model, diverged=True)
    optimizer.flush()
    return Adapted(model, diverged=False)


def make_optimizer(model: nn.Module, settings: dict[str, Any], *, seed: int) -> zo.ZO:
    """The optimizer of some settings, its source seeded."""
    return zo.ZO(model, **{**settings, "source": seeded(settings["source"], seed)})


def seeded(address: str, seed: int) -> str:
    """The address of a source with a seed."""
    return f"{address}{',' if ':' in address else ':'}seed={seed}"


def backprop(task: Task) -> nn.Module:
    """The network that Adam adapts on the same batches, from 1e-3 falling linearly to 0."""
    model = copy.deepcopy(task.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    (x, y), steps = task.train, len(task.picks)
    for step, pick in enumerate(task.picks):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        optimizer.zero_grad()
        functional.cross_entropy(model(x[pick]), y[pick]).backward()
        optimizer.step()
    return model


@torch.no_grad()
def accuracy(model: nn.Module, part: Part) -> float:
    """Share of images in percent whose top class is right."""
    return 100 * (model(part[0]).argmax(1) == part[1]).float().mean().item()


@torch.no_grad()
def loss(model: nn.Module, part: Part) -> float:
    """Mean cross entropy."""
    return functional.cross_entropy(model(part[0]), part[1]).item()
