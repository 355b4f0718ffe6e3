"""Reading a periodic table as an endless stream, at the speed of a copy."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = TypeVar("Integers", bound=np.signedinteger)

# A copy of this many codes costs far more than the call that starts it, and still fits the
# second-level cache.
_UNROLLED_CODES = 1 << 16


def unroll(table: NDArray[Integers]) -> NDArray[Integers]:
    """Return the table repeated until one pass over it is worth a call."""
    times = -(-_UNROLLED_CODES // table.size)
    return table if times == 1 else np.tile(table, times)


def read_cyclic(table: NDArray[np.signedinteger], start: int, length: int) -> NDArray[np.int32]:
    """Return ``table[(start + i) % table.size]`` for ``i < length``, as a fresh array of int32."""
    codes = np.empty(length, dtype=np.int32)
    done, place = 0, start % table.size
    while done < length:
        stop = min(done + table.size - place, length)
        codes[done:stop] = table[place : place + stop - done]
        done, place = stop, 0
    return codes
