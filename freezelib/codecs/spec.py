"""The names of codecs, without the weight of torch: a quantiser and a coder, ``"int4+zstd:3"``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from freezelib.addresses import Value, parse_address, unknown

# Quantisers, and for those that must be told how much to lose: exactly one of which parameters,
# each with its range. What fixes a size is a number of bits per value or a quality; what fixes an
# error is absolute, or relative to the range of a chunk.
QUANTISERS: Mapping[str, Mapping[str, tuple[float, float] | range]] = {
    "raw": {},
    "f16": {},
    "bf16": {},
    "int8": {},
    "int8c": {},
    "int7": {},
    "int8p": {},
    "int4": {},
    "int2": {},
    "zfp": {"rate": (1, 32), "abs": (1e-6, 1e6)},
    "sz3": {"rel": (1e-6, 0.5), "abs": (1e-6, 1e6)},
    "jpeg": {"quality": range(1, 101)},
}
# Coders and their levels. Below zero zstd leaves what does not repeat as it is, as LZ4 does.
CODERS: Mapping[str, tuple[range, ...]] = {
    "none": (),
    "lz4": (range(1, 13),),
    "zstd": (range(-20, 0), range(1, 23)),
}
_USUAL_LEVEL = 1  # what a coder's name alone means, if it has levels


@dataclass(frozen=True)
class CodecSpec:
    """What an address like ``"int4+zstd:3"`` says; its ``str()`` is the shortest such address.

    Attributes:
        quantiser: How float32 feature maps become codes.
        coder: The lossless coder behind it.
        level: Of a coder that has levels, else 0.
        parameters: Of the quantiser, as in ``"zfp:rate=4"``: names and values.
    """

    quantiser: str
    coder: str = "none"
    level: int = 0
    parameters: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        head = ":".join([self.quantiser, *(f"{name}={value}" for name, value in self.parameters)])
        if self.coder == "none":
            return head
        usual = self.level == _usual_level(self.coder)
        return f"{head}+{self.coder}" if usual else f"{head}+{self.coder}:{self.level}"


def parse_codec(address: str) -> CodecSpec:
    """Read a codec's address; no coder means ``none``, and a coder alone means level 1.

    Raises:
        ValueError: The quantiser or the coder is unknown, or a parameter or a level is missing,
            too much or out of range.
    """
    head, _, tail = address.partition("+")
    coder, _, level = (tail or "none").partition(":")
    quantiser, parameters = parse_address(head)
    if quantiser not in QUANTISERS or coder not in CODERS:
        raise unknown("codec", address, [f"{q}+{c}" for q in QUANTISERS for c in CODERS])
    return CodecSpec(
        quantiser, coder, _level(coder, level, address), _checked(quantiser, parameters, address)
    )


def _usual_level(coder: str) -> int:
    return _USUAL_LEVEL if CODERS[coder] else 0


def _level(coder: str, text: str, address: str) -> int:
    if not text:
        return _usual_level(coder)
    for levels in CODERS[coder]:
        for level in levels:
            if str(level) == text:
                return level
    law = " and ".join(f"{levels[0]} to {levels[-1]}" for levels in CODERS[coder]) or "none"
    raise ValueError(f"The levels of {coder} are {law}, but got {address!r}.")


def _checked(
    quantiser: str, given: Mapping[str, Value], address: str
) -> tuple[tuple[str, Value], ...]:
    ranges = QUANTISERS[quantiser]
    if len(given) != min(1, len(ranges)) or not set(given) <= set(ranges):
        law = f"exactly one of {', '.join(ranges)}" if ranges else "no parameters"
        raise ValueError(f"The codec {quantiser} takes {law}, but got {address!r}.")
    for name, value in given.items():
        if not _within(value, ranges[name]):
            low, high = ranges[name][0], ranges[name][-1]
            whole = " and a whole number" if isinstance(ranges[name], range) else ""
            raise ValueError(
                f"{low:g} <= {name} <= {high:g}{whole} must hold, but got {address!r}."
            )
    return tuple((name, _shortest(value)) for name, value in given.items())


def _within(value: Value, allowed: tuple[float, float] | range) -> bool:
    if isinstance(value, str):
        return False
    if isinstance(allowed, range):
        return value in allowed
    return allowed[0] <= value <= allowed[1]


def _shortest(value: Value) -> Value:
    """4 for 4.0, so that two spellings of one number make one address."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
