"""Named design points, and designs from text."""

from dataclasses import dataclass
from typing import Any

from hwmodel.checks import choose, require
from hwmodel.designs.base import Design
from hwmodel.designs.box_muller import BoxMuller
from hwmodel.designs.clt import Clt
from hwmodel.designs.inverse_cdf import InverseCdf
from hwmodel.designs.lfsr import Lfsr
from hwmodel.designs.lfsr_bank import LfsrBank
from hwmodel.designs.pool import Pool
from hwmodel.designs.replicate import Replicate
from hwmodel.designs.scale import Multiplier, PowerOfTwo
from hwmodel.designs.tree import TreeGrng
from hwmodel.designs.wallace import WallaceHadamard

KINDS: dict[str, type[Design]] = {
    cls.kind: cls
    for cls in (
        BoxMuller,
        Clt,
        InverseCdf,
        Lfsr,
        LfsrBank,
        Multiplier,
        Pool,
        PowerOfTwo,
        Replicate,
        TreeGrng,
        WallaceHadamard,
    )
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A design point with the date it was entered and the reason it is here."""

    design: Design
    date: str
    source: str


_ENTERED = "2026-11-22"


def _entry(design: Design, source: str) -> Entry:
    return Entry(design=design, date=_ENTERED, source=source)


CATALOG: dict[str, Entry] = {
    "lfsr-8": _entry(Lfsr(state_bits=8), "the building block; overlapping words correlate"),
    "lfsr-8-leap": _entry(Lfsr(state_bits=8, leap=8), "the same with a fresh word every clock"),
    "pool-4093x8": _entry(
        Pool(size=4093, bits=8), "largest prime in a 4K-deep block RAM: coprime with most models"
    ),
    "pool-4096x8-64": _entry(
        Pool(size=4096, bits=8, lanes=64), "64 lanes: bandwidth, not capacity, sets the block RAM"
    ),
    "pool-8191x1": _entry(Pool(size=8191, bits=1), "one-bit signs need no modulus scale"),
    "bank-31x8": _entry(
        LfsrBank(num_rngs=31, bits=8), "7,905 distinct directions at best; a rotation for free"
    ),
    "bank-31x8-barrel": _entry(
        LfsrBank(num_rngs=31, bits=8, rotation="barrel"),
        "same stream as bank-31x8, with a rotator",
    ),
    "bank-31x8-none": _entry(
        LfsrBank(num_rngs=31, bits=8, rotation="none"), "negative control: 255 directions at best"
    ),
    "bank-31x14": _entry(
        LfsrBank(num_rngs=31, bits=14), "half a million distinct directions at best"
    ),
    "bank-31x8-pow2": _entry(
        PowerOfTwo(design=LfsrBank(num_rngs=31, bits=8)), "modulus scale rounded to 2: wires"
    ),
    "bank-31x8-scaled": _entry(
        Multiplier(design=LfsrBank(num_rngs=31, bits=8)), "modulus scale 1.742: a DSP per lane"
    ),
    "clt-12x8": _entry(Clt(terms=12, bits=8), "textbook Gaussian baseline, twelve uniform words"),
    "inverse-cdf-8": _entry(InverseCdf(address_bits=8, bits=8), "Gaussian table in LUTs"),
    "inverse-cdf-12": _entry(InverseCdf(address_bits=12, bits=12), "Gaussian table in block RAM"),
    "box-muller-12": _entry(BoxMuller(bits=12), "Gaussian pairs from tables and DSP slices"),
    "wallace-1024x12": _entry(WallaceHadamard(depth=1024, bits=12), "four Gaussians per clock"),
    "tree-8": _entry(
        TreeGrng(bits=8), "like TreeGRNG (ASP-DAC 2024), from its description: same 68 flip-flops"
    ),
    "tree-8-x4": _entry(Replicate(design=TreeGrng(bits=8), lanes=4), "how a baseline gets lanes"),
}


def get_design(name_or_spec: str) -> Design:
    """Return a design of the catalogue, or one described as ``kind:field=value,...``.

    A value that is a design itself is a catalogue name or a specification in parentheses, as in
    ``replicate:lanes=64,design=(clt:terms=12,bits=8)``.

    Raises:
        ValueError: If the name, the kind, a field or a value is wrong.
    """
    kind, colon, rest = name_or_spec.partition(":")
    if not colon and kind not in KINDS:
        choose(kind, (*CATALOG, *KINDS), what="design")
        return CATALOG[kind].design
    choose(kind, KINDS, what="kind of design")
    fields = dict(_parse_field(KINDS[kind], text) for text in _split(rest))
    require(
        "design" in fields or "design" not in KINDS[kind].__dataclass_fields__,
        law=f"{kind} is told its design",
        got=repr(name_or_spec),
        fix=f"write for instance {kind}:design=(bank-31x8)",
    )
    return KINDS[kind](**fields)


def _split(text: str) -> list[str]:
    """Return the parts between the commas that lie outside parentheses."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part]


def _parse_field(cls: type[Design], text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    require(bool(equals), law="field=value", got=repr(text), fix="write for instance bits=8")
    choose(key, cls.__dataclass_fields__, what=f"field of {cls.kind}")
    if key == "design":
        return key, get_design(_inside(value))
    if key == "taps":
        return key, tuple(_integer(key, tap) for tap in _inside(value).split(","))
    if cls.__dataclass_fields__[key].type in (int, int | None):
        return key, _integer(key, value)
    return key, value


def _inside(text: str) -> str:
    return text.removeprefix("(").removesuffix(")")


def _integer(key: str, text: str) -> int:
    require(
        text.lstrip("-").isdigit(),
        law=f"{key} is an integer",
        got=f"{key}={text}",
        fix=f"write for instance {key}=8",
    )
    return int(text)
