"""The affine 1x1 map that brings ``T'(f(x))`` closer to ``f(T(x))`` and needs no storage.

It is the least-squares solution over samples and positions: channel ``c`` of the true map from all
channels of the counterpart at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from freezelib.augment.moments import by_channel

_RIDGE = 1e-4  # of a channel's own energy; pulls towards "change nothing"
_FLOOR = 1e-6  # of the mean energy: a channel that was all but dead must not be blown up


def fit_corrector(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Solve ``b ~ M a + c`` by least squares, with a ridge around the identity.

    Args:
        pairs: Maps ``a`` and ``b``, ``[n, C, ...]``. Sums run in float64, so that memory does not
            grow with their number.

    Returns:
        ``float32 [C, C + 1]``: ``M``, and ``c`` in the last column.

    Raises:
        ValueError: There is no pair, or a map is not finite.
    """
    normal = target = torch.zeros(())
    for maps_a, maps_b in pairs:
        a, b = by_channel(maps_a), by_channel(maps_b)
        wide = torch.cat([a, a.new_ones(1, a.shape[1])])
        normal = normal + wide @ wide.T
        target = target + (b - a) @ wide.T
    if normal.ndim == 0:
        raise ValueError("A corrector needs at least one batch of images, but got none.")
    if not (normal.isfinite().all() and target.isfinite().all()):
        raise ValueError("Feature maps must be finite, but the prefix made others.")
    energy = normal.diagonal()[:-1]
    ridge = _RIDGE * energy + _FLOOR * energy.mean() + torch.finfo(energy.dtype).tiny
    normal.diagonal()[:-1].add_(ridge)  # the offset is free
    change = torch.linalg.solve(normal, target.T).T
    return (change + torch.eye(*change.shape, dtype=change.dtype)).float()


def correct_maps(maps: Tensor, corrector: Tensor) -> Tensor:
    """Apply a corrector. A sample without a negative value, as behind a ReLU, keeps none.

    Args:
        maps: ``[n, C, ...]``.
        corrector: ``[C, C + 1]``.
    """
    flat = maps.flatten(2)
    corrected = torch.matmul(corrector[:, :-1], flat).add_(corrector[:, -1:])
    signed = flat.amin((1, 2), keepdim=True) < 0  # asked of each sample alone, not of its batch
    return torch.where(signed, corrected, corrected.relu()).view_as(maps)
