"""Data sets with files of their own: found here, or fetched by torchvision's loaders."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from freezelib.vision import datasets
from sweeps.tasks.arrays import Arrays, MissingDataError

_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def load_fashion_mnist(seed: int, data_root: Path) -> Arrays:
    """60,000 + 10,000 images of 1 x 28 x 28 in 10 classes (Xiao, Rasul and Vollgraf 2017).

    Taken from the data root, from the Debian package ``dataset-fashion-mnist``, or downloaded.
    """
    raw = data_root / "FashionMNIST" / "raw"
    _unpack(_DEBIAN_FASHION_MNIST, raw)
    train, test = _open(
        datasets.FashionMNIST,
        data_root,
        fix="sudo apt-get install dataset-fashion-mnist (31 MB)",
    )
    return _arrays(
        "fashion_mnist",
        (train.data.unsqueeze(1), train.targets, test.data.unsqueeze(1), test.targets),
        per_class=(6000, 1000),
        mean=(0.286,),
        std=(0.353,),
    )


def load_cifar10(seed: int, data_root: Path) -> Arrays:
    """50,000 + 10,000 images of 3 x 32 x 32 in 10 classes (Krizhevsky 2009)."""
    train, test = _open(
        datasets.CIFAR10,
        data_root,
        fix=f"put cifar-10-python.tar.gz (https://www.cs.toronto.edu/~kriz/) into {data_root}",
    )
    images = [
        torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test)
    ]
    labels = [torch.tensor(part.targets) for part in (train, test)]
    return _arrays(
        "cifar10",
        (images[0], labels[0], images[1], labels[1]),
        per_class=(5000, 1000),
        mean=(0.491, 0.482, 0.447),
        std=(0.247, 0.243, 0.262),
    )


def _open(dataset: Any, data_root: Path, *, fix: str) -> tuple[Any, Any]:
    """Training and test part, downloaded only if they are not there."""
    data_root.mkdir(parents=True, exist_ok=True)
    with FileLock(data_root / f".{dataset.__name__}.lock"):  # one download, whoever comes first
        try:
            return dataset(data_root, train=True), dataset(data_root, train=False)
        except RuntimeError:
            pass  # not there yet, or damaged
        try:
            dataset(data_root, train=True, download=True)
            return dataset(data_root, train=True), dataset(data_root, train=False)
        except (OSError, RuntimeError) as error:
            raise MissingDataError(
                f"{dataset.__name__} is not in {data_root} and cannot be downloaded "
                f"({error}). Get it with: {fix}. Or choose another task: --set task.name=digits."
            ) from error


def _unpack(package: Path, raw: Path) -> None:
    if raw.exists() or not package.exists():
        return
    staging = raw.with_name("raw.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for packed in package.glob("*.gz"):
        with gzip.open(packed) as source, (staging / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    staging.rename(raw)


def _arrays(
    name: str,
    parts: tuple[Tensor, Tensor, Tensor, Tensor],
    *,
    per_class: tuple[int, int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Arrays:
    train_x, train_y, test_x, test_y = parts
    for labels, count in zip((train_y, test_y), per_class, strict=True):
        counts = torch.bincount(labels, minlength=10).tolist()
        if counts != [count] * 10:
            raise MissingDataError(
                f"{name} must have {count} images in each of 10 classes, but its files have "
                f"{counts}: delete them and run again."
            )
    return Arrays(
        train_images=train_x,
        train_labels=train_y,
        test_images=test_x,
        test_labels=test_y,
        mean=mean,
        std=std,
        num_classes=10,
    )
