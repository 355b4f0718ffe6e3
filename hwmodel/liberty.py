"""Reading Liberty files: cells, their areas and their tables."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from hwmodel.checks import require

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|[(){}:;,]|[^\s(){}:;,"\\]+')
_UNITS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass(frozen=True)
class Group:
    """One ``kind(arguments) { ... }`` of a Liberty file.

    Attributes:
        kind: As ``cell`` or ``pin``.
        arguments: What stands in the parentheses.
        attributes: Values by name, those of ``name(a, b);`` with their parts.
        groups: The groups inside, in the order of the file.
    """

    kind: str
    arguments: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    groups: tuple["Group", ...]

    @property
    def name(self) -> str:
        """Return the first argument, the name of a cell or pin."""
        return self.arguments[0] if self.arguments else ""

    def of_kind(self, kind: str) -> list["Group"]:
        """Return the groups of one kind inside."""
        return [group for group in self.groups if group.kind == kind]

    def text(self, attribute: str) -> str:
        """Return an attribute.

        Raises:
            ValueError: If there is none; there is no silent default for a physical constant.
        """
        require(
            attribute in self.attributes,
            law=f"{self.kind} {self.name} states its {attribute}",
            got=f"{sorted(self.attributes)}",
            fix="take a complete Liberty file",
        )
        return self.attributes[attribute][0]

    def number(self, attribute: str) -> float:
        """Return an attribute as a number."""
        return float(self.text(attribute))


def read_liberty(path: Path | str) -> Group:
    """Return the library of a Liberty file.

    Raises:
        ValueError: If the file cannot be read or is no Liberty file.
    """
    file = Path(path)
    require(file.is_file(), law="a Liberty file", got=f"{path}", fix="check the path")
    tokens = _TOKEN.findall(_COMMENT.sub(" ", file.read_text(errors="replace")))
    try:
        # The file is read as the body of a group around it.
        (library,) = _body("file", (), iter([*tokens, "}"])).of_kind("library")
    except (StopIteration, ValueError) as error:
        raise ValueError(
            "`a Liberty file is one whole library(...) { ... }` must hold, but got "
            f"{file.name}: take the .lib of one corner, unpacked"
        ) from error
    return library


def _body(kind: str, arguments: tuple[str, ...], tokens: Iterator[str]) -> Group:
    """Return a group of which everything up to its opening brace has been read."""
    attributes: dict[str, tuple[str, ...]] = {}
    groups: list[Group] = []
    word = next(tokens)
    while word != "}":
        mark = next(tokens) if word != ";" else ";"
        if mark == ":":
            attributes[word] = (next(tokens).strip('"'),)
        elif mark == "(":
            inside = _arguments(tokens)
            after = next(tokens)
            if after == "{":
                groups.append(_body(word, inside, tokens))
            else:
                attributes[word] = inside
                word = after
                continue
        word = next(tokens)
    return Group(kind, arguments, attributes, tuple(groups))


def _arguments(tokens: Iterator[str]) -> tuple[str, ...]:
    return tuple(t.strip('"') for t in iter(lambda: next(tokens), ")") if t != ",")


def unit(library: Group, attribute: str) -> float:
    """Return a unit of the library in SI, for instance 1e-9 for ``leakage_power_unit : "1nW"``.

    Raises:
        ValueError: If the library does not state it.
    """
    library.text(attribute)
    text = "".join(library.attributes[attribute]).lower()
    found = re.fullmatch(r"([\d.]+)([fpnum]?)(?:w|v|s|f|a)", text)
    require(found is not None, law=f"{attribute} is a known unit", got=text, fix="mend the file")
    assert found is not None
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Table:
    """A look-up table over the load and the input slew, in the library's units."""

    axes: tuple[tuple[str, tuple[float, ...]], ...]
    values: tuple[float, ...]

    def at(self, *, load: float, slew: float) -> float:
        """Return the value between, or linearly beyond, the table's points."""
        corners = [
            _between(axis, load if "capacitance" in name else slew) for name, axis in self.axes
        ]
        sizes = [len(axis) for _, axis in self.axes]
        total = 0.0
        for corner in product(*corners):
            place = 0
            for (index, _), size in zip(corner, sizes, strict=True):
                place = place * size + index
            total += self.values[place] * prod(weight for _, weight in corner)
        return total


def _between(axis: tuple[float, ...], value: float) -> list[tuple[int, float]]:
    """Return the two neighbouring points of an axis with their weights."""
    if len(axis) == 1:
        return [(0, 1.0)]
    low = min(max(bisect_right(axis, value) - 1, 0), len(axis) - 2)
    share = (value - axis[low]) / (axis[low + 1] - axis[low])
    return [(low, 1 - share), (low + 1, share)]


def read_table(library: Group, group: Group) -> Table:
    """Return the table of a group such as ``rise_power(template) { ... }``."""
    values = tuple(x for row in group.attributes["values"] for x in _numbers(row))
    templates = {t.name: t for t in library.groups if t.kind.endswith("template")}
    if group.name not in templates:
        assert len(values) == 1, "a table without a template is a scalar"
        return Table((), values)
    template, axes = templates[group.name], []
    for place in (1, 2):
        if f"variable_{place}" in template.attributes:
            index = f"index_{place}"
            points = group.attributes.get(index) or template.attributes[index]
            axes.append((template.text(f"variable_{place}"), _numbers(points[0])))
    return Table(tuple(axes), values)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.replace(",", " ").split()))
