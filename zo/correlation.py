"""The product with a periodic matrix: one correlation in place of a second weight matrix.

A weight block of shape ``(n_out, n_in)`` that lies at flat offset ``o`` and is periodic with
``N`` numbers ``r`` has the entries ``R[i, j] = r[(o + i n_in + j) mod N]``. So ``R x`` at ``i`` is
the circular correlation of ``r`` with ``x``, folded modulo ``N``, at ``o + i n_in``: one pair of
Fourier transforms and a gather, ``O(n_in + N log N + n_out)`` per input vector.
"""

import torch
from torch import Tensor


def fast_length(least: int) -> int:
    """Return the smallest even length of at least ``least`` with no prime factor above 5."""
    length = least + least % 2
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2


def fold(x: Tensor, period: int) -> Tensor:
    """Sum the last axis modulo ``period``: shape ``(..., n)`` to ``(..., min(n, period))``."""
    if x.shape[-1] <= period:
        return x
    pieces = x.split(period, dim=-1)
    folded = torch.stack(pieces[:-1]).sum(0)
    folded[..., : pieces[-1].shape[-1]] += pieces[-1]
    return folded


def spectrum(rows: Tensor, reach: int) -> Tensor:
    """Return the transform that ``correlate`` needs for inputs of ``reach`` folded numbers.

    Args:
        rows: Periodic numbers, shape ``(branches, period)``.
        reach: Length of a folded input, at most ``period``.

    Returns:
        Complex tensor of shape ``(branches, 1, frequencies)``.
    """
    length = fast_length(rows.shape[-1] + reach - 1)
    extended = torch.cat([rows, rows[..., : reach - 1]], dim=-1)
    return torch.fft.rfft(extended, n=length)[:, None]


def correlate(x: Tensor, transformed: Tensor, places: Tensor) -> Tensor:
    """Return the products with a periodic matrix.

    Args:
        x: Folded inputs, shape ``(branches, vectors, reach)``.
        transformed: ``spectrum(rows, reach)``.
        places: Where in the period each output begins, shape ``(n_out,)``.

    Returns:
        Tensor of shape ``(branches, vectors, n_out)``.
    """
    length = 2 * (transformed.shape[-1] - 1)
    product = transformed * torch.fft.rfft(x, n=length).conj()
    return torch.fft.irfft(product, n=length)[..., places]
