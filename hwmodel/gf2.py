"""Linear feedback shift registers as linear maps over GF(2).

A map on ``n``-bit states is a tuple of ``n`` columns: column ``i`` is the image of the state in
which only bit ``i`` is set. Everything that a design needs (leaps, orbits, XOR sizes) is a power
of one such map.
"""

from functools import cache, lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Map = tuple[int, ...]

# Longer leaps are powers of the map.
_WALKED_SHIFTS = 128

# Exponents of one primitive polynomial per degree, highest first (the tap sets of Xilinx XAPP052
# where it lists one). The tests run every orbit to its end, so the table needs no trust.
TAPS: dict[int, tuple[int, ...]] = {
    2: (2, 1),
    3: (3, 2),
    4: (4, 3),
    5: (5, 3),
    6: (6, 5),
    7: (7, 6),
    8: (8, 6, 5, 4),
    9: (9, 5),
    10: (10, 7),
    11: (11, 9),
    12: (12, 6, 4, 1),
    13: (13, 4, 3, 1),
    14: (14, 5, 3, 1),
    15: (15, 14),
    16: (16, 15, 13, 4),
    17: (17, 14),
    18: (18, 11),
    19: (19, 6, 2, 1),
    20: (20, 17),
    21: (21, 19),
    22: (22, 21),
    23: (23, 18),
    24: (24, 23, 22, 17),
}


def fibonacci_step(state: int, taps: tuple[int, ...]) -> int:
    """Return the state after one shift: the parity of the taps enters at bit 0."""
    feedback = 0
    for tap in taps:
        feedback ^= state >> (tap - 1)
    return ((state << 1) | (feedback & 1)) & ((1 << taps[0]) - 1)


def galois_step(state: int, taps: tuple[int, ...]) -> int:
    """Return the state after one shift: the bit that leaves is added to every tap."""
    mask = sum(1 << (tap - 1) for tap in taps)
    return state >> 1 ^ mask * (state & 1)


STEPS = {"fibonacci": fibonacci_step, "galois": galois_step}


@cache
def shift_map(taps: tuple[int, ...], form: str = "fibonacci") -> Map:
    """Return one shift of the register with these taps as a map."""
    return tuple(STEPS[form](1 << bit, taps) for bit in range(taps[0]))


def apply(linear: Map, state: int) -> int:
    """Return the image of one state."""
    image = 0
    for bit, column in enumerate(linear):
        if state >> bit & 1:
            image ^= column
    return image


@lru_cache(maxsize=4096)
def power(linear: Map, exponent: int) -> Map:
    """Return the map applied ``exponent`` times, by squaring."""
    if exponent == 0:
        return tuple(1 << bit for bit in range(len(linear)))
    half = power(linear, exponent // 2)
    square = tuple(apply(half, column) for column in half)
    return tuple(apply(linear, column) for column in square) if exponent % 2 else square


@lru_cache(maxsize=4096)
def leap_rows(taps: tuple[int, ...], form: str, leap: int) -> Map:
    """Return the rows of ``leap`` shifts: for every output bit, the input bits whose XOR it is.

    A short leap is walked shift by shift, which is faster than powers of the map.
    """
    width = taps[0]
    if leap > _WALKED_SHIFTS:
        return _transposed(power(shift_map(taps, form), leap))
    rows = [1 << bit for bit in range(width)]
    for _ in range(leap):
        if form == "fibonacci":
            entering = 0
            for tap in taps:
                entering ^= rows[tap - 1]
            rows = [entering, *rows[:-1]]
        else:
            leaving = rows[0]
            rows = [*rows[1:], 0]
            for tap in taps:
                rows[tap - 1] ^= leaving
    return tuple(rows)


def _transposed(linear: Map) -> Map:
    """Return the rows of a map as masks."""
    places = range(len(linear))
    return tuple(sum((linear[i] >> bit & 1) << i for i in places) for bit in places)


def apply_to_all(linear: Map, states: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the images of an array of states, same shape, by one look-up per byte."""
    images = np.zeros_like(states)
    for low in range(0, len(linear), 8):
        columns = linear[low : low + 8]
        table = [apply(columns, byte) for byte in range(1 << len(columns))]
        images ^= np.array(table, dtype=np.int32)[states >> low & (len(table) - 1)]
    return images


def orbit(linear: Map, length: int) -> NDArray[np.int32]:
    """Return ``length`` successive states from state 1, shape ``(length,)``, by doubling."""
    states = np.ones(1, dtype=np.int32)
    while states.size < length:
        ahead = power(linear, states.size)
        states = np.concatenate([states, apply_to_all(ahead, states[: length - states.size])])
    return states


@cache
def is_maximal(linear: Map) -> bool:
    """Return whether the orbit of every state but zero has length 2^n - 1."""
    length = (1 << len(linear)) - 1
    identity = power(linear, 0)
    shorter = (power(linear, length // prime) for prime in prime_factors(length))
    return power(linear, length) == identity and identity not in shorter


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a number; some may come twice."""
    found, divisor = [], 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            found.append(divisor)
            number //= divisor
        else:
            divisor += 1
    return [*found, number]


def coprime_leap(bits: int, *, at_least: int) -> int:
    """Return the smallest leap from ``at_least`` on that keeps the full period 2^bits - 1."""
    leap = at_least
    while gcd(leap, 2**bits - 1) != 1:
        leap += 1
    return leap
