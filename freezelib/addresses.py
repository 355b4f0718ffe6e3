"""One grammar for everything that is named by a string: ``name:key=value,key=value``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

Value = int | float | str


def unknown(kind: str, name: str, valid: Iterable[str]) -> ValueError:
    """The error for a name that a registry does not hold: the valid ones, and the nearest."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"Unknown {kind} {name!r}. Valid: {', '.join(names)}.{hint}")


def parse_address(text: str) -> tuple[str, dict[str, Value]]:
    """Split an address into its name and its parameters.

    ``"rotate:degrees=10"`` gives ``("rotate", {"degrees": 10})``.

    Raises:
        ValueError: A parameter is not of the form ``key=value``.
    """
    name, _, rest = text.partition(":")
    parameters: dict[str, Value] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise ValueError(
                f"An address must read name:key=value,key=value, but got {text!r} ({item!r})."
            )
        parameters[key.strip()] = _literal(value.strip())
    return name.strip(), parameters


def _literal(text: str) -> Value:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
