"""Codes of numbers that leave as sign and magnitude."""

import numpy as np

from hwmodel.designs.base import Codes, Words


def decode_sign_magnitude(words: Words, *, bits: int) -> Codes:
    """Return ``+-(2 magnitude + 1)``: odd-symmetric, and no word is wasted on a second zero.

    Args:
        words: Words of ``bits`` bits, the sign above the magnitude.
        bits: Width of a word.
    """
    magnitude = words & ((1 << (bits - 1)) - 1)
    sign = 1 - 2 * (words >> (bits - 1))
    return (sign * (2 * magnitude + 1)).astype(np.int32)
