"""Reading a periodic table as an endless stream, at the speed of a copy."""

import numpy as np
from numpy.typing import NDArray

# A copy of this many codes costs far more than the call that starts it, and still fits the
# second-level cache.
_UNROLLED_CODES = 1 << 16


def unroll(table: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the table repeated until one pass over it is worth a call."""
    return np.tile(table, -(-_UNROLLED_CODES // table.size))


def read_cyclic(table: NDArray[np.int32], start: int, length: int) -> NDArray[np.int32]:
    """Return ``table[(start + i) % table.size]`` for ``i < length``, as a fresh array."""
    codes = np.empty(length, dtype=np.int32)
    done, place = 0, start % table.size
    while done < length:
        stop = min(done + table.size - place, length)
        codes[done:stop] = table[place : place + stop - done]
        done, place = stop, 0
    return codes
