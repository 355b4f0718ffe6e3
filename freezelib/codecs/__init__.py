"""Codecs: how feature maps are stored, addressed as ``"int8+lz4"``.

The quantiser (here) is what may lose something; the coder is lossless and belongs to the file
(:mod:`freezelib.cache.chunk`). A new quantiser is one class, one line in the registry and one in
:mod:`~freezelib.codecs.spec`, and inherits the conformance suite in
``tests/freezelib/test_codecs.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from freezelib.codecs.spec import CodecSpec, parse_codec

if TYPE_CHECKING:
    from freezelib.codecs.base import Codec, Planes

__all__ = ["Codec", "CodecSpec", "Planes", "get_codec", "parse_codec"]


def get_codec(address: str) -> Codec:
    """What encodes and decodes under a codec's address; its coder acts in the file.

    Raises:
        ValueError: The address names no codec, or one whose package is not installed.
    """
    import torch

    from freezelib.codecs.floats import Float
    from freezelib.codecs.integers import Integer
    from freezelib.codecs.jpeg import Jpeg
    from freezelib.codecs.lloyd import Lloyd
    from freezelib.codecs.scientific import Sz3, Zfp
    from freezelib.codecs.two_planes import TwoPlanes

    registry: dict[str, Callable[..., Codec]] = {
        "raw": lambda: Float(torch.float32),
        "f16": lambda: Float(torch.float16),
        "bf16": lambda: Float(torch.bfloat16),
        "int8": lambda: Integer(8),
        "int8c": lambda: Integer(8, by_columns=True),
        "int7": lambda: Integer(7),
        "int8p": TwoPlanes,
        "int4": lambda: Integer(4),
        "int2": Lloyd,
        "zfp": Zfp,
        "sz3": Sz3,
        "jpeg": Jpeg,
    }
    spec = parse_codec(address)
    return registry[spec.quantiser](**dict(spec.parameters))
