"""Similarity-aware channel augmentation: which channels a view changes beyond its counterpart.

For a view T with counterpart T', channel c of ``T'(f(x))`` is held against channel c of
``f(T(x))``. Where they agree the cached map can simply be transformed when it is read; where they
do not, the channel is *sensitive* and its true value is cached once more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from freezelib.augment.views import View

_DEAD = 1e-6  # share of the median channel energy under which a channel carries nothing
_ROUNDING = 1e-10  # share of a channel's energy under which its variance is rounding alone


@torch.no_grad()
def score_channels(prefix: nn.Module, batches: Iterable[Tensor], view: View) -> Tensor:
    """Centred correlation per channel between ``T'(f(x))`` and ``f(T(x))``.

    Centred, because maps behind a ReLU are non-negative and a plain cosine is then high for any
    two of them. Sums run over samples and positions in float64. A dead or constant channel scores
    1: there is nothing to cache of it.

    Args:
        prefix: Maps images ``[n, c, h, w]`` to feature maps ``[n, C, ...]``.
        batches: Canonical images.
        view: The augmentation to score.

    Returns:
        ``float64 [C]`` in [-1, 1].
    """
    count, sums = 0, torch.zeros(0)
    for images in batches:
        a = view.apply(prefix(images)).transpose(0, 1).flatten(1).double()
        b = prefix(view.apply(images)).transpose(0, 1).flatten(1).double()
        moments = torch.stack([a.sum(1), b.sum(1), (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)])
        sums = moments if count == 0 else sums + moments
        count += a.shape[1]
    if count == 0:
        raise ValueError("Scoring a view needs at least one batch of images, but got none.")
    mean_a, mean_b, square_a, square_b, product = sums / count
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    dead = square_b <= _DEAD * square_b.median()
    constant = (variance_a <= _ROUNDING * square_a) | (variance_b <= _ROUNDING * square_b)
    correlation = (product - mean_a * mean_b) / (variance_a * variance_b).sqrt()
    return torch.where(dead | constant, 1.0, correlation).clamp(-1, 1)


def sensitive_channels(scores: Tensor, *, threshold: float, max_fraction: float) -> list[int]:
    """Channels whose similarity lies under the threshold, worst first until the budget is spent.

    Args:
        scores: ``[C]``, as of :func:`score_channels`.
        threshold: Similarity under which a channel is cached once more.
        max_fraction: Budget, as a share of all channels. A threshold alone can silently mean
            "cache everything twice".

    Returns:
        Channel numbers in ascending order.
    """
    budget = math.floor(max_fraction * len(scores) + 1e-9)
    worst_first = torch.argsort(scores, stable=True).tolist()
    return sorted(c for c in worst_first[:budget] if scores[c] < threshold)
