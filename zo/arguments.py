"""What the arguments of the optimizer must obey."""

import math

from hwmodel.checks import require


def check_numbers(
    *, lr: float, eps: float, momentum: float, weight_decay: float, sides: int, seed: int
) -> None:
    """Raise ``ValueError`` unless each number is within its bounds."""
    given = f"{lr=}, {eps=}, {momentum=}, {weight_decay=}, {sides=}, {seed=}"
    laws = {
        "lr >= 0": lr >= 0,
        "0 < eps < inf": 0 < eps < math.inf,
        "0 <= momentum < 1": 0 <= momentum < 1,
        "weight_decay >= 0": weight_decay >= 0,
        "sides in [1, 2]": sides in (1, 2),
        "seed >= 0": seed >= 0,
    }
    for law, holds in laws.items():
        require(holds, law=law, got=given, fix="give a number within these bounds")


def check_shard(offset: int, held: int, total: int) -> None:
    """Raise ``ValueError`` unless the weights held lie within all that are trained."""
    require(
        offset >= 0 and offset + held <= total,
        law="0 <= offset and offset + weights held <= total",
        got=f"shard=({offset}, {total}) with {held} weights",
        fix="give the flat index of this process's first weight and the count of all",
    )
