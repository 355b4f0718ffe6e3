"""Random decisions as pure functions: the same whatever the order, the threads or the resume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(*words: int | NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash integers (scalars or arrays of one shape) into 64 bits each.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014), chained over the words.
    """
    state = np.zeros(1, np.uint64)
    for word in words:
        state = _finalise(state + _GOLDEN + np.asarray(word, np.int64).astype(np.uint64))
    return state


def uniform(*words: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in [0, 1) with 53 bits, one for each hashed tuple of words."""
    return (mix(*words) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(size: int, *words: int) -> NDArray[np.int64]:
    """A permutation of ``range(size)`` that depends on the words alone."""
    return np.argsort(mix(*words, np.arange(size)), kind="stable")


def _finalise(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
