"""Views: named augmentations that act on images and, as their counterpart, on feature maps.

Some views move what is in the image. They are maps of the plane: in normalised coordinates, where
the image spans [-1, 1] whatever its resolution, the same map applies to an image and to a feature
map of any stride. The others change values where they are, and leave a feature map alone. That is
all that "the counterpart T' of T" means here. Whether ``T'(f(x))`` is close to ``f(T(x))`` is
another matter, and :mod:`freezelib.augment.selection` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from freezelib.addresses import Value, parse_address, unknown
from freezelib.hashing import uniform

_Make = Callable[[dict[str, Value]], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class View:
    """One augmentation.

    Attributes:
        name: The address it was made from, as it stands in keys and column names.
        apply: Images ``[n, c, h, w]`` to the same shape, and feature maps alike if it moves them.
        moves: Whether it moves what is in the image, or changes values where they are.
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    moves: bool

    def counterpart(self, maps: Tensor) -> Tensor:
        """What stands for the view on feature maps ``[n, C, h, w]``; it may be the maps."""
        return self.apply(maps) if self.moves else maps


def get_view(address: str) -> View:
    """A view by address.

    ``hflip``, ``vflip``, ``rotate:degrees=10`` and ``shift:x=0.1,y=0`` move. Shifts are shares of
    the width and height. Rotations and shifts resample bilinearly and repeat the border, because
    zeros would be values that the prefix never produced.

    ``brightness:by=0.2`` adds to every value, in units of the images: standard deviations where
    they were normalised. ``contrast:factor=1.3`` scales the distance to the mean of each channel
    of an image, ``saturation:factor=0.7`` that to the mean of the channels at each pixel. Values
    are not clipped.

    Raises:
        ValueError: The name, or one of its parameters, is unknown or missing.
    """
    name, parameters = parse_address(address)
    makers = _MOVING | _STAYING
    if name not in makers:
        raise unknown("view", name, makers)
    make, wanted = makers[name]
    if set(parameters) != set(wanted):
        raise ValueError(
            f"The view {name!r} takes exactly the parameters {sorted(wanted)}, "
            f"but got {address!r}."
        )
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in parameters.values()):
        raise ValueError(f"The parameters of a view are finite numbers, but got {address!r}.")
    return View(address, make(parameters), moves=name in _MOVING)


def assign_views(
    *, seed: int, epoch: int, sample_ids: NDArray[np.int64], num_views: int, probability: float
) -> NDArray[np.int64]:
    """Which view each sample takes this epoch: 0 for none, ``v`` for the ``v``-th.

    A pure function of its arguments, so it depends neither on the order in which samples are read
    nor on threads or resume.
    """
    if num_views == 0 or probability == 0:
        return np.zeros(len(sample_ids), np.int64)
    draw = uniform(seed, epoch, sample_ids)
    share = np.minimum(draw, probability) / probability  # in [0, 1], however small the latter
    chosen = np.minimum(share * num_views, num_views - 1).astype(np.int64)
    return np.where(draw < probability, chosen + 1, 0)


def _hflip(_: dict[str, Value]) -> Callable[[Tensor], Tensor]:
    return lambda maps: maps.flip(-1)


def _vflip(_: dict[str, Value]) -> Callable[[Tensor], Tensor]:
    return lambda maps: maps.flip(-2)


def _rotate(parameters: dict[str, Value]) -> Callable[[Tensor], Tensor]:
    angle = math.radians(float(parameters["degrees"]))
    cos, sin = math.cos(angle), math.sin(angle)
    return _affine([[cos, -sin, 0.0], [sin, cos, 0.0]])


def _shift(parameters: dict[str, Value]) -> Callable[[Tensor], Tensor]:
    # The grid says where to read from, and the plane is two units wide.
    return _affine(
        [[1.0, 0.0, -2 * float(parameters["x"])], [0.0, 1.0, -2 * float(parameters["y"])]]
    )


def _affine(matrix: list[list[float]]) -> Callable[[Tensor], Tensor]:
    theta = torch.tensor(matrix).unsqueeze(0)

    def apply(maps: Tensor) -> Tensor:
        where = theta.to(maps).expand(len(maps), 2, 3)
        grid = functional.affine_grid(where, list(maps.shape), align_corners=False)
        return functional.grid_sample(
            maps, grid, mode="bilinear", padding_mode="border", align_corners=False
        )

    return apply


def _brightness(parameters: dict[str, Value]) -> Callable[[Tensor], Tensor]:
    return lambda images: images + float(parameters["by"])


def _away_from_mean(*dims: int) -> _Make:
    def make(parameters: dict[str, Value]) -> Callable[[Tensor], Tensor]:
        factor = float(parameters["factor"])
        return lambda images: images.mean(dims, keepdim=True).lerp(images, factor)

    return make


_Makers = dict[str, tuple[_Make, tuple[str, ...]]]
_MOVING: _Makers = {
    "hflip": (_hflip, ()),
    "vflip": (_vflip, ()),
    "rotate": (_rotate, ("degrees",)),
    "shift": (_shift, ("x", "y")),
}
_STAYING: _Makers = {
    "brightness": (_brightness, ("by",)),
    "contrast": (_away_from_mean(-2, -1), ("factor",)),
    "saturation": (_away_from_mean(-3), ("factor",)),
}
