"""Codecs: how feature maps are stored, addressed as ``"int8+lz4"``.

The quantiser (here) is what may lose something; the coder is lossless and belongs to the file
(:mod:`freezelib.cache.chunk`). A new quantiser is one class and one line in the registry, and
inherits the conformance suite in ``tests/freezelib/test_codecs.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freezelib.codecs.spec import CodecSpec, parse_codec

if TYPE_CHECKING:
    from freezelib.codecs.base import Codec, Planes

__all__ = ["Codec", "CodecSpec", "Planes", "get_codec", "parse_codec"]


def get_codec(address: str) -> Codec:
    """What encodes and decodes under a codec's address; its coder acts in the file.

    Raises:
        ValueError: The address names no codec.
    """
    import torch

    from freezelib.codecs.floats import Float
    from freezelib.codecs.integers import Integer

    registry: dict[str, Codec] = {
        "raw": Float(torch.float32),
        "f16": Float(torch.float16),
        "int8": Integer(8),
        "int4": Integer(4),
    }
    return registry[parse_codec(address).quantiser]
