"""A sensor that has drifted: turned, shifted and noisy."""

from __future__ import annotations

import torch
from torch import Tensor

from freezelib.augment import get_view

_MOUNT = ("rotate:degrees=20", "shift:x=0.03,y=-0.03")
_NOISE = 0.1  # standard deviation, as a share of the full scale


def drift(images: Tensor, seed: int) -> Tensor:
    """The images as the drifted sensor sees them.

    Args:
        images: ``uint8 [n, c, h, w]``.
        seed: Of the noise.

    Returns:
        ``uint8`` of the same shape.
    """
    seen = images.float() / 255
    for address in _MOUNT:
        seen = get_view(address).apply(seen)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(seen.shape, generator=generator)
    return (seen + _NOISE * noise).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
