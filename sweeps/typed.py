"""Typed configs as nested frozen dataclasses: dotted paths, plain dicts, and errors that help."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

Config = TypeVar("Config")


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain dicts and lists, for YAML and JSON."""
    return _plain(dataclasses.asdict(config))


def from_dict(cls: type[Config], data: Mapping[str, Any], *, where: str = "") -> Config:
    """A config from plain dicts; whatever is left out keeps its default.

    Raises:
        ValueError: A key is unknown (the valid ones are listed), or a value is of another type.
    """
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in hints:
            raise unknown_key(where + key, [where + name for name in hints])
    values = {key: _read(hints[key], value, where + key) for key, value in data.items()}
    return cls(**values)


def with_value(config: Config, path: str, value: Any) -> Config:
    """The config with one dotted path set to another value.

    Raises:
        ValueError: The path is unknown, or the value is of another type.
    """
    field_type(type(config), path)
    data = to_dict(config)
    *groups, leaf = path.split(".")
    inner = data
    for group in groups:
        inner = inner[group]
    inner[leaf] = value
    return from_dict(type(config), data)


def field_type(cls: Any, path: str) -> Any:
    """The annotated type of a dotted path.

    Raises:
        ValueError: There is no such path; the nearest one is named.
    """
    if path not in (valid := paths(cls)):
        raise unknown_key(path, valid)
    hint = cls
    for name in path.split("."):
        hint = typing.get_type_hints(hint)[name]
    return hint


def paths(cls: Any) -> list[str]:
    """Every dotted path of a config."""
    found = []
    for name, hint in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(hint):
            found += [f"{name}.{inner}" for inner in paths(hint)]
        else:
            found.append(name)
    return found


def flat(config: Any) -> dict[str, Any]:
    """A config as ``{dotted path: value}``."""
    flattened: dict[str, Any] = {}
    for path in paths(type(config)):
        value = config
        for name in path.split("."):
            value = getattr(value, name)
        flattened[path] = value
    return flattened


def unknown_key(key: str, valid: list[str]) -> ValueError:
    """The error for a key that no config has."""
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"Unknown key {key!r}. Valid: {', '.join(valid)}.{hint}")


def _read(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(typing.cast(Any, hint), value, where=where + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (a for a in arguments if a is not type(None))
        return _read(hint, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(arguments[0], item, where) for item in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: _read(arguments[1], item, where) for key, item in value.items()}
    if hint is Any:
        return tuple(value) if isinstance(value, list) else value
    if hint is float and type(value) in (int, float):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    name = getattr(hint, "__name__", None) if origin is None else str(hint)
    raise ValueError(f"{where} must be {name}, but got {value!r}.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
