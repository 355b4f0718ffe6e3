"""Images as they are before any model: the data set that a feature cache replaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xxhash
from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSet:
    """Labelled images in memory, with the canonical preprocessing that they need.

    Attributes:
        images: ``uint8 [N, C, H, W]``.
        labels: ``int64 [N]``.
        mean: Per-channel mean of the pixels scaled to [0, 1].
        std: Per-channel standard deviation of the same.
        num_classes: How many classes the labels come from.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_classes: int

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(
                "images must be uint8 [N, C, H, W], but got "
                f"{self.images.dtype} {tuple(self.images.shape)}."
            )
        if len(self.images) == 0:
            raise ValueError("An image set needs at least one image, but got none.")
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"Every image needs a label, but got {len(self.images)} and {len(self.labels)}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: Tensor | slice) -> Tensor:
        """The canonical images of some rows, normalised, ``float32 [n, C, H, W]``."""
        mean = torch.tensor(self.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.std).view(1, -1, 1, 1)
        return self.images[rows].float().div_(255).sub_(mean).div_(std)

    @cached_property
    def fingerprint(self) -> str:
        """xxh3-128 over shape, pixels, labels and preprocessing, as hex."""
        digest = xxhash.xxh3_128(repr((tuple(self.images.shape), self.mean, self.std)).encode())
        for tensor in (self.images, self.labels):
            digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()
