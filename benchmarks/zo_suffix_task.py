"""A residual network that meets turned digits: the task of ``zo_suffix.py``.

The bundled 8x8 digits. 600 train the network, 500 others that have drifted adapt it and the rest,
drifted likewise, test it; a seed stands for split, pretrained weights and noise. Validation images
are the same for every seed and belong to no other part of any seed.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from freezelib import ImageSet

Part = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Two convolutions with a shortcut; group norm, since running statistics would drift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(4, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(4, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return torch.relu(x + self.body(x))


def network() -> nn.Sequential:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), *(Block(32) for _ in range(4)), head)


def drifted(images: Tensor, seed: int) -> Tensor:
    """Images ``[n, 1, 8, 8]`` in [0, 1], turned by 30 degrees, with noise."""
    turn = torch.tensor([[math.sqrt(0.75), -0.5, 0.0], [0.5, math.sqrt(0.75), 0.0]])
    grid = functional.affine_grid(
        turn.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    moved = functional.grid_sample(images, grid, align_corners=False)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (moved + 0.1 * noise).clamp(0, 1)


@dataclass(frozen=True)
class Task:
    """One seed's pretrained network and drifted images; validation images are nobody else's."""

    model: nn.Sequential
    train: ImageSet
    validation: Part
    test: Part


@cache
def make_task(seed: int) -> Task:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target)
    fixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(12345))
    kept, rest = fixed[:247], fixed[247:]
    rest = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))]
    moved, later, last = drifted(images, seed), rest[600:1100], rest[1100:]
    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(150):
        pick = rest[torch.randint(0, 600, (64,))]
        optimizer.zero_grad()
        functional.cross_entropy(model(images[pick]), labels[pick]).backward()
        optimizer.step()
    pixels = (255 * moved[later]).round().byte()
    train = ImageSet(images=pixels, labels=labels[later], mean=(0.0,), std=(1.0,), num_classes=10)
    return Task(model, train, (moved[kept], labels[kept]), (moved[last], labels[last]))
