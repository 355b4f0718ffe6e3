"""The names of codecs, without the weight of torch: ``"int8+lz4"`` is a quantiser and a coder."""

from __future__ import annotations

from dataclasses import dataclass

from freezelib.addresses import unknown

QUANTISERS = ("raw", "f16", "int8", "int4")
CODERS = ("none", "lz4")


@dataclass(frozen=True)
class CodecSpec:
    """What an address like ``"int8+lz4"`` says.

    Attributes:
        quantiser: How float32 feature maps become codes.
        coder: The lossless coder behind it.
    """

    quantiser: str
    coder: str

    def __str__(self) -> str:
        return self.quantiser if self.coder == "none" else f"{self.quantiser}+{self.coder}"


def parse_codec(address: str) -> CodecSpec:
    """Read a codec's address; no coder means ``none``.

    Raises:
        ValueError: The quantiser or the coder is unknown.
    """
    quantiser, _, coder = address.partition("+")
    coder = coder or "none"
    if quantiser not in QUANTISERS or coder not in CODERS:
        raise unknown("codec", address, [f"{q}+{c}" for q in QUANTISERS for c in CODERS])
    return CodecSpec(quantiser, coder)
