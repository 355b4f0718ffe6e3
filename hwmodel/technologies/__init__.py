"""Technologies: data files in which every constant says where it comes from.

A file holds a header (name, fabric, source, accuracy) and one table per constant with its value,
unit, node, voltage, source and kind: ``measured`` by a tool, ``published`` by someone else, or
``fitted`` to measurements.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from hwmodel.checks import choose

KINDS = ("measured", "published", "fitted")


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One physical constant and its provenance."""

    value: float
    unit: str
    node: str
    voltage_v: float
    source: str
    kind: str

    def __post_init__(self) -> None:
        assert self.kind in KINDS


@dataclass(frozen=True, kw_only=True)
class Technology:
    """The constants of one technology.

    Attributes:
        name: Name of the technology, that of its file.
        covers: ``energy``, or ``resources`` for coefficients fitted to synthesis.
        fabric: ``fpga`` or ``asic``.
        source: Where its constants come from, in one line.
        accuracy: What is known of their accuracy.
        constants: The constants by name.
    """

    name: str
    covers: str
    fabric: str
    source: str
    accuracy: str
    constants: Mapping[str, Constant]

    def __getitem__(self, name: str) -> Constant:
        """Return a constant; there is no silent default for a physical quantity.

        Raises:
            ValueError: If this technology has no such constant.
        """
        choose(name, self.constants, what=f"constant of technology {self.name!r}")
        return self.constants[name]


@cache
def technology_names() -> tuple[str, ...]:
    """Return the names of the technologies that can price energy, sorted."""
    return tuple(name for name in _file_names() if load_technology(name).covers == "energy")


@cache
def load_technology(name: str) -> Technology:
    """Return a technology by name.

    Raises:
        ValueError: If there is none of that name; the message lists all and the nearest.
    """
    choose(name, _file_names(), what="technology")
    data = tomllib.loads((resources.files(__name__) / f"{name}.toml").read_text("utf-8"))
    constants = {key: Constant(**table) for key, table in data.pop("constants").items()}
    return Technology(name=name, constants=constants, **data)


@cache
def _file_names() -> tuple[str, ...]:
    files = (file.name for file in resources.files(__name__).iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in files if n.endswith(".toml")))
