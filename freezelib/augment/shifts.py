"""Integer shifts: the random crop of a padded image, and its counterpart on a feature map.

The border repeats the edge, because zeros would be values that the prefix never produced: a blank
image does not map to zeros.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def shift_maps(maps: Tensor, cells: NDArray[np.int64]) -> Tensor:
    """Each map moved down and to the right, its edge repeated.

    Args:
        maps: ``[n, C, h, w]``; images or feature maps.
        cells: ``[n, 2]``, of the maps' own grid.

    Returns:
        A new tensor of the same shape.
    """
    count, _, height, width = maps.shape
    moves = torch.from_numpy(cells).to(maps.device)
    rows = _sources(height, moves[:, 0]).view(count, height, 1)
    columns = _sources(width, moves[:, 1]).view(count, 1, width)
    places = (rows * width + columns).view(count, 1, height * width)
    flat = maps.reshape(count, -1, height * width)
    return flat.gather(2, places.expand_as(flat)).view_as(maps)


def map_shifts(shifts: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """Shifts of the image in cells of a map: the nearest whole multiple of the stride.

    No other shift exists on the map, whose cells are ``stride`` pixels apart. Halves go to the
    even neighbour: the mean stays 0, and the spread close to that of the image's shifts.
    """
    return np.rint(shifts / stride).astype(np.int64)


def map_stride(image_shape: tuple[int, ...], map_shape: tuple[int, ...]) -> int | None:
    """Pixels between two cells of a map, or None where its grid is no whole fraction of the image.

    Args:
        image_shape: ``(c, h, w)``.
        map_shape: ``(C, h', w')``; any other is no grid.
    """
    if len(map_shape) != 3:
        return None
    stride = image_shape[-1] // map_shape[-1]
    whole = all(i == stride * m for i, m in zip(image_shape[1:], map_shape[1:], strict=True))
    return stride if whole else None


def _sources(size: int, offset: Tensor) -> Tensor:
    """From where each place along an axis is read, ``[n, size]``."""
    places = torch.arange(size, device=offset.device) - offset.unsqueeze(1)
    return places.clamp_(0, size - 1)
