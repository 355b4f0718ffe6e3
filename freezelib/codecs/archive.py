"""What the archive codecs share: streams that cannot be entered in the middle.

Their codes lie in a few streams per chunk, dealt over the rows of one plane, because every plane's
first dimension is the sample. :meth:`~freezelib.codecs.base.Codec.unpack` joins and decodes them;
what it gives can be gathered row by row like the planes of any other codec. Their packages are an
optional extra.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LENGTH_BYTES = 8


def package(name: str, codec: str) -> ModuleType:
    """A package that is not installed with freezelib.

    Raises:
        ValueError: It is not there.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(
            f"The codec {codec} needs the package {name.partition('.')[0]}, which is not here: "
            "pip install 'freezo[archive]', or take int4+zstd."
        ) from error


def deal(streams: Iterable[bytes | memoryview], rows: int) -> Tensor:
    """Streams with their lengths, in equal parts: ``uint8 [rows, ...]``."""
    framed = b"".join(
        part for data in streams for part in (len(data).to_bytes(_LENGTH_BYTES, "little"), data)
    )
    width = math.ceil(len(framed) / max(1, rows))
    dealt = torch.zeros(rows, width, dtype=torch.uint8)
    dealt.view(-1).numpy()[: len(framed)] = np.frombuffer(framed, np.uint8)
    return dealt


def join(dealt: Tensor) -> Iterator[NDArray[np.uint8]]:
    """The streams again, one after the other."""
    framed, start = dealt.contiguous().view(-1).numpy(), 0
    while size := int.from_bytes(framed[start : start + _LENGTH_BYTES].tobytes(), "little"):
        start += _LENGTH_BYTES
        yield framed[start : start + size]
        start += size


def as_planes(maps: Tensor) -> NDArray[np.float32]:
    """All maps under each other, ``[n * C * h, w]``: what is smooth is smooth within a map."""
    return maps.reshape(-1, plane_shape(tuple(maps.shape[2:]))[1]).numpy()


def plane_shape(positions: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a map with any number of dimensions."""
    return math.prod(positions[:-1]), math.prod(positions[-1:])
