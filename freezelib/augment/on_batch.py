"""Augmentation of whatever the trained part reads, images or feature maps, batch by batch.

On feature maps these are the namesakes of what they are on images: mixup of maps is manifold
mixup (Verma et al. 2019), and a gain of maps is the pointwise brightness of FroFA (Bär et al.
2024), the kind that helps on frozen features where geometry hurts.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from freezelib.hashing import mix, uniform

Words = tuple[int, ...]


def scaled(inputs: Tensor, gain: float, words: Words) -> Tensor:
    """Each sample times a factor of its own, uniform in ``1 - gain .. 1 + gain``."""
    share = uniform(*words, np.arange(len(inputs)))
    factor = torch.from_numpy(1 + gain * (2 * share - 1)).to(inputs)
    return inputs * _per_sample(factor, inputs)


def noisy(inputs: Tensor, noise: float, words: Words) -> Tensor:
    """Gaussian noise, its standard deviation a share of each sample's root mean square."""
    generator = torch.Generator().manual_seed(_word(words))
    drawn = torch.randn(inputs.shape, generator=generator).to(inputs)  # the same on every device
    scale = inputs.flatten(1).square().mean(1).sqrt().mul(noise)
    return torch.addcmul(inputs, drawn, _per_sample(scale, inputs))


def mixed(
    inputs: Tensor, labels: Tensor, alpha: float, num_classes: int, words: Words
) -> tuple[Tensor, Tensor]:
    """Pairs of samples, and their labels, in one proportion that is Beta(alpha, alpha).

    Zhang et al. 2018, section 2. The batch is in random order already, so that its reverse is as
    good a partner as any.
    """
    random = np.random.default_rng(_word(words))
    share = float(random.beta(alpha, alpha))
    targets = functional.one_hot(labels, num_classes).to(inputs)
    return torch.lerp(inputs.flip(0), inputs, share), torch.lerp(targets.flip(0), targets, share)


def _per_sample(values: Tensor, inputs: Tensor) -> Tensor:
    return values.view(-1, *[1] * (inputs.ndim - 1))


def _word(words: Words) -> int:
    return int(mix(*words)[0] >> np.uint64(1))
