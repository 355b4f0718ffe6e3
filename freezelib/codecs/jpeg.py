"""JPEG of eight-bit codes: the best rate on the smooth maps of early layers, for archives."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.codecs.archive import deal, join, package, plane_shape
from freezelib.codecs.base import Codec, Planes
from freezelib.codecs.integers import Integer
from freezelib.codecs.scratch import Scratch

_EIGHT = Integer(8)
_BLOCK = 8  # side of a block of the cosine transform
_SHEET_VALUES = 1 << 24  # in an image; Pillow takes those above 2^26 for an attack


class Jpeg(Codec):
    """The codes of ``int8`` as grey images (ITU-T T.81), a sheet of many maps in each.

    Maps are padded to whole blocks, so that none disturbs another. ``unpack`` gives the planes of
    ``int8``.

    Args:
        quality: 1 to 100, as of libjpeg.
    """

    def __init__(self, *, quality: int) -> None:
        self._image = package("PIL.Image", "jpeg")
        self._quality = quality

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        planes = _EIGHT.encode(maps)
        shape = plane_shape(tuple(maps.shape[2:]))
        codes = planes.pop("codes").view(-1, *shape) if maps.numel() else torch.empty(0, *shape)
        sheets = codes.numpy()
        streams = [self._compress(sheets[part]) for part in _sheets(len(codes), shape)]
        return {"stream": deal(streams, len(maps)), **planes}

    def unpack(self, planes: Planes, map_shape: tuple[int, ...]) -> Planes:
        """See :class:`~freezelib.codecs.base.Codec`."""
        shape, samples = plane_shape(map_shape[1:]), len(planes["stream"])
        values = math.prod(map_shape)
        codes = np.empty((samples * map_shape[0] if values else 0, *shape), np.uint8)
        for part, stream in zip(_sheets(len(codes), shape), join(planes["stream"]), strict=True):
            codes[part] = self._decompress(stream, codes[part])
        others = {name: plane for name, plane in planes.items() if name != "stream"}
        return {"codes": torch.from_numpy(codes).view(samples, values), **others}

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        _EIGHT.dequantise_into(planes, out, scratch)

    def error_bound(self, maps: Tensor) -> Tensor:
        """JPEG bounds no error below the range of the codes."""
        return _EIGHT.error_bound(maps) * (2 * 256)

    def _compress(self, codes: NDArray[np.uint8]) -> bytes:
        image = io.BytesIO()
        self._image.fromarray(_sheet(codes)).save(image, "JPEG", quality=self._quality)
        return image.getvalue()

    def _decompress(self, stream: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
        maps, height, width = like.shape
        with self._image.open(io.BytesIO(stream.tobytes())) as image:
            sheet = np.asarray(image)
        columns = _columns(maps)
        grid = sheet.reshape(-1, _padded(height), columns, _padded(width)).swapaxes(1, 2)
        return grid.reshape(-1, *grid.shape[2:])[:maps, :height, :width]


def _sheets(maps: int, shape: tuple[int, int]) -> list[slice]:
    """Which maps lie on which sheet."""
    height, width = map(_padded, shape)
    count = max(1, _SHEET_VALUES // max(1, height * width))
    return [slice(first, first + count) for first in range(0, maps, count)]


def _sheet(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps ``[m, h, w]``, each padded to whole blocks, side by side in a square or nearly so."""
    maps, height, width = codes.shape
    columns = _columns(maps)
    empty = -maps % columns
    padding = ((0, 0), (0, _padded(height) - height), (0, _padded(width) - width))
    padded = np.pad(np.pad(codes, padding, "edge"), ((0, empty), (0, 0), (0, 0)))
    grid = padded.reshape(-1, columns, *padded.shape[1:]).swapaxes(1, 2)
    return grid.reshape(-1, columns * padded.shape[2])


def _columns(maps: int) -> int:
    return math.ceil(math.sqrt(maps))


def _padded(side: int) -> int:
    return side + -side % _BLOCK
