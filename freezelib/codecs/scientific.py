"""ZFP and SZ3, the lossy codecs of simulation data: for archives, at under 1 GB/s."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.codecs.archive import as_planes, deal, join, package, plane_shape
from freezelib.codecs.base import Codec, Planes, checked
from freezelib.codecs.floats import Float
from freezelib.codecs.scratch import Scratch

_FLOAT32 = Float(torch.float32)
_ROUNDING = 2.0**-20  # of the largest value, on top of what was asked for


class Scientific(Codec):
    """One stream per chunk; ``unpack`` gives ``values float32 [n, C, *positions]``."""

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        maps = checked(maps)
        streams = [self._compress(as_planes(maps))] if maps.numel() else []
        return {"stream": deal(streams, len(maps))}

    def unpack(self, planes: Planes, map_shape: tuple[int, ...]) -> Planes:
        """See :class:`~freezelib.codecs.base.Codec`."""
        shape = (len(planes["stream"]), *map_shape)
        if math.prod(shape) == 0:
            return {"values": torch.zeros(shape)}
        width = plane_shape(map_shape[1:])[1]
        values = self._decompress(next(join(planes["stream"])), (math.prod(shape) // width, width))
        return {"values": torch.from_numpy(values).view(shape)}

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        _FLOAT32.dequantise_into(planes, out, scratch)

    def decode_into(
        self, planes: Planes, rows: Tensor, out: Tensor, scratch: Scratch | None = None
    ) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        _FLOAT32.decode_into(planes, rows, out, scratch)

    @abstractmethod
    def _compress(self, values: NDArray[np.float32]) -> bytes: ...

    @abstractmethod
    def _decompress(
        self, stream: NDArray[np.uint8], shape: tuple[int, int]
    ) -> NDArray[np.float32]: ...


class Zfp(Scientific):
    """ZFP (Lindstrom 2014), in blocks of 4 x 4 values.

    Args:
        rate: Bits per value, or
        abs: the largest error.
    """

    def __init__(self, *, rate: float = 0.0, abs: float = 0.0) -> None:
        self._zfp = package("zfpy", "zfp")
        self._rate, self._abs = rate, abs

    def _compress(self, values: NDArray[np.float32]) -> bytes:
        if self._rate:
            return self._zfp.compress_numpy(values, rate=self._rate)
        return self._zfp.compress_numpy(values, tolerance=self._abs)

    def _decompress(
        self, stream: NDArray[np.uint8], shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        return self._zfp.decompress_numpy(stream.tobytes())

    def error_bound(self, maps: Tensor) -> Tensor:
        """What was asked for; a fixed rate bounds an error by no more than the values."""
        peak = _peak(maps)
        return 8 * peak if self._rate else _ROUNDING * peak + self._abs


class Sz3(Scientific):
    """SZ3 (Liang et al. 2022), with its interpolating predictor.

    Args:
        rel: Largest error as a share of the chunk's range, or
        abs: the largest error.
    """

    def __init__(self, *, rel: float = 0.0, abs: float = 0.0) -> None:
        self._sz = package("pysz", "sz3")
        self._rel, self._abs = rel, abs

    def _compress(self, values: NDArray[np.float32]) -> bytes:
        config, modes = self._sz.szConfig(), self._sz.szErrorBoundMode
        config.errorBoundMode = modes.REL if self._rel else modes.ABS
        config.relErrorBound, config.absErrorBound = self._rel, self._abs
        return self._sz.sz.compress(values, config)[0].tobytes()

    def _decompress(
        self, stream: NDArray[np.uint8], shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        return self._sz.sz.decompress(stream, np.float32, shape)[0]

    def error_bound(self, maps: Tensor) -> Tensor:
        """What was asked for."""
        extent = maps.max() - maps.min() if maps.numel() else torch.zeros(())
        return extent * self._rel + _ROUNDING * _peak(maps) + self._abs


def _peak(maps: Tensor) -> Tensor:
    return maps.abs().max() if maps.numel() else torch.zeros(())
