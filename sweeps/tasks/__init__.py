"""Tasks: a data set to warm up on, one to train on, and one to be judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from freezelib.addresses import unknown
from freezelib.hashing import permutation
from freezelib.images import ImageSet
from sweeps.config import TaskConfig
from sweeps.tasks.arrays import Arrays
from sweeps.tasks.digits import load_digits
from sweeps.tasks.downloads import load_cifar10, load_fashion_mnist
from sweeps.tasks.drift import drift
from sweeps.tasks.synthetic import load_synthetic

_LOADERS: dict[str, Callable[[int, Path], Arrays]] = {
    "digits": load_digits,
    "fashion_mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "synthetic": load_synthetic,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What a trial trains on and is judged by (top-1 accuracy on ``test``).

    Attributes:
        pretrain: Images that the trunk is trained on.
        train: Images that the suffix is trained on; the feature cache is made of these.
        test: Images that the whole model is judged on, raw.
    """

    pretrain: ImageSet
    train: ImageSet
    test: ImageSet


def task_names() -> list[str]:
    """The tasks that there are."""
    return sorted(_LOADERS)


@lru_cache(maxsize=4)
def load_task(config: TaskConfig, data_root: Path) -> Task:
    """Find, verify and prepare a task's images.

    Without drift, warm-up and training use the same images. With it the model is adapted: the
    trunk sees half of the training images as they are, the suffix sees the other half through a
    drifted sensor, and so is the test.

    Raises:
        ValueError: The task is unknown, or asks for more images than there are.
        MissingDataError: Its files are not here and cannot be had; the message has the commands.
    """
    if config.name not in _LOADERS:
        raise unknown("task", config.name, _LOADERS)
    arrays = _LOADERS[config.name](config.seed, data_root)
    train_x, train_y = arrays.train_images, arrays.train_labels
    if not config.drift:
        train = _image_set(arrays, train_x, train_y, config.train_samples)
        return Task(
            pretrain=train,
            train=train,
            test=_image_set(arrays, arrays.test_images, arrays.test_labels),
        )
    order = torch.from_numpy(permutation(len(train_x), config.seed, 1))
    before, after = order[: len(order) // 2], order[len(order) // 2 :]
    drifted_train = drift(train_x[after], config.seed)
    drifted_test = drift(arrays.test_images, config.seed + 1)
    return Task(
        pretrain=_image_set(arrays, train_x[before], train_y[before]),
        train=_image_set(arrays, drifted_train, train_y[after], config.train_samples),
        test=_image_set(arrays, drifted_test, arrays.test_labels),
    )


def _image_set(
    arrays: Arrays, images: torch.Tensor, labels: torch.Tensor, samples: int | None = None
) -> ImageSet:
    if samples is not None and samples > len(images):
        raise ValueError(
            f"train_samples <= {len(images)} must hold for this task, but got {samples}."
        )
    return ImageSet(
        images=images[:samples],
        labels=labels[:samples],
        mean=arrays.mean,
        std=arrays.std,
        num_classes=arrays.num_classes,
    )
