"""Fashion-MNIST for the benchmarks: image sets, transformed test sets, and warm trunks.

The plain test set cannot tell augmentations apart, because all its garments stand upright and in
the middle. The transformed ones can.
"""

import hashlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from freezelib import ImageSet, get_model
from freezelib.augment import Augmentation
from freezelib.hashing import permutation
from sweeps.config import TaskConfig
from sweeps.storage import data_root
from sweeps.tasks import load_task

BUILD = Path(__file__).parents[1] / "build" / "benchmarks"
SHIFT_PIXELS = 4
NUISANCES = {
    "flipped": Augmentation(views=("hflip",), view_probability=1.0),
    "flip+shift": Augmentation(views=("hflip",), shift_pixels=SHIFT_PIXELS),
}
TEST_SETS = ("plain", *NUISANCES)


@dataclass(frozen=True)
class Fashion:
    """Images to train on, and the test sets by name."""

    train: ImageSet
    tests: dict[str, ImageSet]


def load(train_samples: int, *, test_samples: int = 10_000) -> Fashion:
    """The first training images, and the test images plain, flipped, and flipped and shifted."""
    config = TaskConfig(name="fashion_mnist", train_samples=train_samples)
    task = load_task(config, data_root())
    plain = replace(
        task.test, images=task.test.images[:test_samples], labels=task.test.labels[:test_samples]
    )
    moved = {name: transformed(plain, nuisance) for name, nuisance in NUISANCES.items()}
    return Fashion(task.train, {"plain": plain, **moved})


def transformed(data: ImageSet, augmentation: Augmentation, *, seed: int = 0) -> ImageSet:
    """The images, each augmented once and for all."""
    draws = augmentation.draw(seed=seed, epoch=0, sample_ids=np.arange(len(data)))
    return replace(data, images=augmentation.apply_to_images(data.images, draws))


def warm_trunk(
    model: str,
    *,
    seed: int,
    epochs: int,
    augmentation: Augmentation,
    data: ImageSet,
    lr: float = 0.1,
    schedule: str = "constant",
    batch_size: int = 128,
) -> nn.Module:
    """A model after some epochs of backpropagation on augmented images, in eval mode.

    SGD with momentum 0.9 and weight decay 5e-4. It is made once and kept under
    ``build/benchmarks``, by content.

    Args:
        model: Address.
        seed: Of weights, order and augmentation.
        epochs: Passes over the data.
        augmentation: Of the images.
        data: To train on.
        lr: Learning rate at the start.
        schedule: Whether it stays (``constant``), as where a training freezes half-way, or falls
            to 0 along a ``cosine``.
        batch_size: Samples per step.
    """
    made_of = (model, seed, epochs, augmentation, data.fingerprint, lr, schedule, batch_size)
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    torch.manual_seed(seed)
    network = get_model(model, in_channels=data.images.shape[1], num_classes=data.num_classes)
    path = BUILD / "trunks" / f"{key}.pt"
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    train(
        network,
        data,
        seed=seed,
        epochs=epochs,
        augmentation=augmentation,
        lr=lr,
        schedule=schedule,
        batch_size=batch_size,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(f".{id(network)}.part")
    torch.save(network.state_dict(), staging)
    staging.rename(path)
    return network.eval()


def train(
    network: nn.Module,
    data: ImageSet,
    *,
    seed: int,
    epochs: int,
    augmentation: Augmentation,
    lr: float = 0.1,
    schedule: str = "cosine",
    batch_size: int = 128,
) -> None:
    """Plain backpropagation on augmented images; the last, smaller batch is left out."""
    optimizer = sgd(network, lr=lr)
    steps = len(data) // batch_size
    for epoch in range(epochs):
        order = permutation(len(data), seed, epoch)
        network.train()
        for step in range(steps):
            ids = order[step * batch_size : (step + 1) * batch_size]
            rows = torch.from_numpy(ids)
            draws = augmentation.draw(seed=seed, epoch=epoch, sample_ids=ids)
            images = augmentation.apply_to_images(data.read(rows), draws)
            inputs, targets = augmentation.on_batch(
                images,
                data.labels[rows],
                seed=seed,
                epoch=epoch,
                step=step,
                num_classes=data.num_classes,
            )
            done = (epoch + step / steps) / epochs
            falling = (1 + math.cos(math.pi * done)) / 2
            optimizer.param_groups[0]["lr"] = lr * (falling if schedule == "cosine" else 1.0)
            sgd_step(network, optimizer, inputs, targets)


def sgd(network: nn.Module, *, lr: float) -> torch.optim.SGD:
    """The optimizer of all accuracy benchmarks."""
    return torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)


def sgd_step(
    network: nn.Module, optimizer: torch.optim.SGD, inputs: Tensor, targets: Tensor
) -> float:
    """One step on the cross entropy, which is returned."""
    loss = functional.cross_entropy(network(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(network: nn.Module, data: ImageSet, *, batch_size: int = 500) -> float:
    """Top-1 accuracy in percent, in eval mode, on raw images through the whole network."""
    network.eval()
    right = 0
    for rows in torch.arange(len(data)).split(batch_size):
        right += int((network(data.read(rows)).argmax(1) == data.labels[rows]).sum())
    return 100 * right / len(data)


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and half of the 95 % confidence interval (Student's t) of independent values."""
    count = len(values)
    half = math.inf
    if count > 1:
        half = stats.t.ppf(0.975, count - 1) * statistics.stdev(values) / math.sqrt(count)
    return {"mean": statistics.fmean(values), "half_width": float(half), "n": count}


def paired(values: Sequence[float], reference: Sequence[float]) -> dict[str, float]:
    """The interval of the differences of values that share a seed, pair by pair."""
    return interval([a - b for a, b in zip(values, reference, strict=True)])
