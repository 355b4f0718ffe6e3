"""Counting toggles in a value change dump."""

from collections import Counter
from collections.abc import Iterable


def count_toggles(lines: Iterable[str]) -> Counter[str]:
    """Return how often each signal changed between 0 and 1, bits of a vector added up.

    Args:
        lines: The lines of a VCD file.

    Returns:
        Changes by path, for instance ``testbench.dut.cell.Q``; signals that never change are
        there with zero.
    """
    names: dict[str, list[str]] = {}
    scope: list[str] = []
    values: dict[str, str] = {}
    changes: Counter[str] = Counter()
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "$scope":
            scope.append(words[2])
        elif words[0] == "$upscope":
            scope.pop()
        elif words[0] == "$var":
            names.setdefault(words[3], []).append(".".join([*scope, words[4]]))
        elif words[0][0] in "01xzb":
            code, value = _change(words)
            changes[code] += _differences(values.get(code, ""), value)
            values[code] = value
    return Counter({name: changes[code] for code, shared in names.items() for name in shared})


def _change(words: list[str]) -> tuple[str, str]:
    if words[0][0] == "b":
        return words[1], words[0][1:]
    return words[0][1:], words[0][0]


def _differences(before: str, after: str) -> int:
    """Return in how many bits 0 became 1 or 1 became 0; VCD leaves out leading zeros."""
    width = max(len(before), len(after))
    pairs = zip(before.rjust(width, _fill(before)), after.rjust(width, _fill(after)), strict=True)
    return sum({old, new} == {"0", "1"} for old, new in pairs)


def _fill(value: str) -> str:
    return value[0] if value[:1] in ("x", "z") else "0"
