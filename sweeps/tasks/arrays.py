"""What a task's loader brings, before it is split for warm-up and adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


class MissingDataError(RuntimeError):
    """A data set is not on this machine and could not be fetched."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Arrays:
    """Images ``uint8 [N, C, H, W]`` and labels ``int64 [N]``, with their channel statistics."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_classes: int
