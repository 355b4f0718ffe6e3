"""Numbers that depend on a seed alone: splitmix64, the same in every version of every library.

A start state or a pool is part of a design: it is burnt into the emitted Verilog. It must
therefore never change with a library's release, which is why no NumPy generator is used.
"""

import numpy as np
from numpy.typing import NDArray

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def splitmix64(seed: int, count: int, *, skip: int = 0) -> NDArray[np.uint64]:
    """Return ``count`` words of the splitmix64 sequence of ``seed``.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).

    Args:
        seed: Any integer; taken modulo 2^64.
        count: How many words.
        skip: How many words to leave out first.

    Returns:
        Array of shape ``(count,)``, uniform over 0..2^64-1.
    """
    index = np.arange(skip + 1, skip + count + 1, dtype=np.uint64)
    z = np.uint64(seed & _MASK) + index * np.uint64(_GOLDEN_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def child_seed(seed: int, index: int) -> int:
    """Return the seed of part ``index`` of something that was seeded with ``seed``."""
    return int(splitmix64(seed, 1, skip=index)[0])


def distinct_below(bound: int, count: int, *, seed: int) -> tuple[int, ...]:
    """Return ``count`` distinct integers of 0..bound-1 in an order fixed by ``seed``."""
    assert count <= bound
    found: dict[int, None] = {}
    skip = 0
    while len(found) < count:
        words = splitmix64(seed, 2 * count, skip=skip) % np.uint64(bound)
        found.update(dict.fromkeys(words.tolist()))
        skip += 2 * count
    return tuple(found)[:count]
