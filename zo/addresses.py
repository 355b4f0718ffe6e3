"""Sources as strings: ``"pool:size=4093,bits=8"``, and what each parameter may be.

The registry is one plain dict. Parsing and checking need neither torch nor numpy, so a config
can be validated on a machine that has neither.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from hwmodel.checks import choose, require

if TYPE_CHECKING:
    from zo.sources.base import Source

Value = int | bool | str | None


@dataclass(frozen=True)
class Int:
    """A whole number within bounds, or ``none`` where that is allowed."""

    default: int | None
    low: int
    high: int
    optional: bool = False

    def read(self, text: str) -> Value:
        """Turn text into a value; anything that is no number is left for ``check``."""
        if self.optional and text == "none":
            return None
        try:
            return int(text)
        except ValueError:
            return text

    def check(self, name: str, value: object) -> None:
        """Raise ``ValueError`` unless ``low <= value <= high``."""
        if value is None and self.optional:
            return
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(
            whole and self.low <= value <= self.high,  # type: ignore[operator]
            law=f"{self.low} <= {name} <= {self.high}",
            got=f"{name}={value!r}",
            fix="give a whole number within these bounds",
        )


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    default: str
    words: tuple[str, ...]

    def read(self, text: str) -> Value:
        """Return the text: the word is its own value."""
        return text

    def check(self, name: str, value: object) -> None:
        """Raise ``ValueError`` unless ``value`` is one of the words."""
        choose(str(value), self.words, what=name)


@dataclass(frozen=True)
class Flag:
    """True or false."""

    default: bool

    def read(self, text: str) -> Value:
        """Turn ``true`` and ``false`` into a bool."""
        return {"true": True, "false": False}.get(text.lower(), text)

    def check(self, name: str, value: object) -> None:
        """Raise ``ValueError`` unless ``value`` is a bool."""
        require(
            isinstance(value, bool),
            law=f"{name} in [false, true]",
            got=f"{name}={value!r}",
            fix="write true or false",
        )


Param = Int | Choice | Flag

_SEED = Int(0, 0, 2**63 - 1)


@dataclass(frozen=True)
class Entry:
    """Where a source's class lives and which parameters it takes."""

    home: str
    params: dict[str, Param]


SOURCES: dict[str, Entry] = {
    "gaussian": Entry("zo.sources.fresh:Gaussian", {"seed": _SEED}),
    "mezo_gaussian": Entry("zo.sources.mezo:MezoGaussian", {"seed": _SEED}),
    "rademacher": Entry("zo.sources.fresh:Rademacher", {"seed": _SEED}),
    "uniform": Entry("zo.sources.fresh:Uniform", {"seed": _SEED, "signed": Flag(True)}),
    "pool": Entry(
        "zo.sources.pool:Pool",
        {
            "size": Int(4093, 2, 2**24),
            "bits": Int(8, 1, 16),
            "phase": Choice("leftover", ("leftover", "stride", "random", "fixed")),
            "stride": Int(1, 1, 2**62),
            "indexing": Choice("flat", ("flat", "per_tensor")),
            "seed": _SEED,
            "repair": Flag(True),
        },
    ),
    "lfsr_bank": Entry(
        "zo.sources.bank:LfsrBank",
        {
            "num_rngs": Int(31, 1, 4096),
            "bits": Int(8, 3, 20),
            "leap": Int(None, 1, 2**20, optional=True),
            "rotation": Choice("ring", ("ring", "barrel", "none")),
            "seed": _SEED,
            "repair": Flag(True),
        },
    ),
}


@dataclass(frozen=True)
class SourceSpec:
    """A validated source address.

    Attributes:
        name: A key of the registry, for instance ``"pool"``.
        params: Every parameter with its value, defaults included, in the registry's order.
    """

    name: str
    params: tuple[tuple[str, Value], ...]

    @property
    def address(self) -> str:
        """The shortest text that parses to this spec: only what differs from the defaults."""
        known = SOURCES[self.name].params
        told = [f"{k}={_text(v)}" for k, v in self.params if v != known[k].default]
        return ":".join([self.name, ",".join(told)]) if told else self.name

    def __str__(self) -> str:
        return self.address

    def build(self) -> "Source":
        """Make the source (this loads torch)."""
        module, name = SOURCES[self.name].home.split(":")
        source: Source = getattr(import_module(module), name)(**dict(self.params))
        return source


def _text(value: Value) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def make_spec(name: str, **params: Value) -> SourceSpec:
    """Return the validated spec of a source with these parameters and defaults for the rest.

    Raises:
        ValueError: For an unknown source or parameter, or a value outside its bounds.
    """
    known = SOURCES[choose(name, SOURCES, what="perturbation source")].params
    for key in params:
        choose(key, known, what=f"parameter of {name!r}")
    values = {key: params.get(key, param.default) for key, param in known.items()}
    for key, param in known.items():
        param.check(key, values[key])
    return SourceSpec(name, tuple(values.items()))


def parse_source(text: str) -> SourceSpec:
    """Parse an address such as ``"lfsr_bank:num_rngs=31,bits=8,rotation=none"``.

    Args:
        text: ``name`` or ``name:key=value,key=value``.

    Raises:
        ValueError: For an unknown name (with the nearest valid one), a parameter that is not
            ``key=value``, is named twice or is unknown, or a value outside its bounds.
    """
    name, _, tail = text.strip().partition(":")
    known = SOURCES[choose(name, SOURCES, what="perturbation source")].params
    params: dict[str, Value] = {}
    for item in filter(None, tail.split(",")):
        key, sign, value = (part.strip() for part in item.partition("="))
        require(
            bool(sign) and key not in params,
            law="a source address is name:key=value,key=value with each key once",
            got=repr(text),
            fix=f"check the part {item!r}",
        )
        choose(key, known, what=f"parameter of {name!r}")
        params[key] = known[key].read(value)
    return make_spec(name, **params)


def get_source(text: str) -> "Source":
    """Build the source of an address: ``parse_source(text).build()``."""
    return parse_source(text).build()
