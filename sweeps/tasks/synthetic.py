"""Seeded images with flip and shift nuisance, so that augmentation has something to do.

Each class is a smooth random pattern. Training images show it upright and near the middle; test
images show it mirrored half of the time and shifted further.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from sweeps.tasks.arrays import Arrays

_CLASSES, _CHANNELS, _SIDE = 6, 3, 16
_TRAIN, _TEST = 600, 300
_NOISE = 0.15


def load_synthetic(seed: int, data_root: Path) -> Arrays:
    """600 images to train on and 300 to test, of 3 x 16 x 16 in 6 classes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(_CLASSES, _CHANNELS, 4, 4, generator=generator)
    patterns = functional.interpolate(coarse, size=(_SIDE, _SIDE), mode="bicubic")
    train_x, train_y = _draw(patterns, _TRAIN, generator, mirrored=0.0, reach=1)
    test_x, test_y = _draw(patterns, _TEST, generator, mirrored=0.5, reach=2)
    return Arrays(
        train_images=train_x,
        train_labels=train_y,
        test_images=test_x,
        test_labels=test_y,
        mean=(0.5,) * _CHANNELS,
        std=(0.28,) * _CHANNELS,
        num_classes=_CLASSES,
    )


def _draw(
    patterns: Tensor, count: int, generator: torch.Generator, *, mirrored: float, reach: int
) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % _CLASSES
    images = patterns[labels].clone()
    mirror = torch.rand(count, generator=generator) < mirrored
    images[mirror] = images[mirror].flip(-1)
    shifts = torch.randint(-reach, reach + 1, (count, 2), generator=generator).tolist()
    images = torch.stack(
        [image.roll((dy, dx), (-2, -1)) for image, (dy, dx) in zip(images, shifts, strict=True)]
    )
    images += _NOISE * torch.randn(images.shape, generator=generator)
    return images.clamp_(0, 1).mul_(255).round_().to(torch.uint8), labels
