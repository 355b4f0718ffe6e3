"""Scans of handwritten digits that come inside scikit-learn: 1,797 of 8 x 8 (Alpaydin 1998)."""

from __future__ import annotations

from pathlib import Path

import torch

from freezelib.hashing import permutation
from sweeps.tasks.arrays import Arrays

_TEST_SAMPLES = 497


def load_digits(seed: int, data_root: Path) -> Arrays:
    """1,300 to train on and 497 to test, dealt by the seed."""
    from sklearn import datasets

    scans = datasets.load_digits()
    order = torch.from_numpy(permutation(len(scans.target), seed))
    images = (torch.from_numpy(scans.images) * 255 / 16).round().to(torch.uint8)
    images, labels = images.unsqueeze(1)[order], torch.from_numpy(scans.target).long()[order]
    return Arrays(
        train_images=images[:-_TEST_SAMPLES],
        train_labels=labels[:-_TEST_SAMPLES],
        test_images=images[-_TEST_SAMPLES:],
        test_labels=labels[-_TEST_SAMPLES:],
        mean=(0.305,),
        std=(0.376,),
        num_classes=10,
    )
