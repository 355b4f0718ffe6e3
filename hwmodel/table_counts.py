"""What the tables of all designs take in logic, counted beforehand.

``python -m hwmodel.table_counts`` counts again: every shape of the two designs with a table, which
takes a minute, and a look-up a microsecond.
"""

import csv
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path

from hwmodel.table_luts import TableLuts, table_luts

_FILE = "tables.csv"
_HEAD = ("kind", "address_bits", "bits", "narrow", "wide", "registers", "toggles")

Shape = tuple[str, int, int]


def counted(kind: str, address_bits: int, bits: int) -> TableLuts:
    """Return what the table of a design takes.

    Args:
        kind: ``inverse_cdf`` or ``box_muller``.
        address_bits: Of ``inverse_cdf`` with the sign, of ``box_muller`` those of the angle.
        bits: Bits per number.
    """
    return _counts()[kind, address_bits, bits]


def count(shape: Shape) -> TableLuts:
    """Return what a table takes, by the rules of ``table_luts``; slowly."""
    from hwmodel.designs.box_muller import BoxMuller
    from hwmodel.designs.inverse_cdf import InverseCdf

    kind, address_bits, bits = shape
    if kind == BoxMuller.kind:
        words = BoxMuller(bits=bits, angle_bits=address_bits).turn_words
        return table_luts(words, width=2 * bits, registered=False)
    table = InverseCdf(address_bits=address_bits, bits=bits).table
    return table_luts(table, width=bits - 1, registered=True)


def shapes() -> Iterator[Shape]:
    """Yield every shape of a table that a design can have."""
    yield from product(["box_muller"], range(4, 9), range(6, 17))
    yield from product(["inverse_cdf"], range(3, 15), range(2, 17))


@cache
def _counts() -> dict[Shape, TableLuts]:
    found = {}
    lines = (resources.files("hwmodel") / _FILE).read_text("utf-8").splitlines()
    for kind, address_bits, bits, *counts, toggles in list(csv.reader(lines))[1:]:
        narrow, wide, registers = map(int, counts)
        used = TableLuts(narrow, wide, registers, float(toggles))
        found[kind, int(address_bits), int(bits)] = used
    return found


def _rewrite() -> None:
    with Path(str(resources.files("hwmodel") / _FILE)).open("w", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(_HEAD)
        for shape in shapes():
            used = count(shape)
            toggles = f"{used.toggles:.6f}"
            writer.writerow([*shape, used.narrow, used.wide, used.registers, toggles])


if __name__ == "__main__":
    _rewrite()
