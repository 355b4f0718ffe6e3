"""What is to be done to each sample, decided before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Draws:
    """Random decisions for ``n`` samples.

    Attributes:
        copies: Which stored view is read, ``int64 [n]``; 0 is the canonical one.
        views: Which view is taken, ``int64 [n]``; 0 for none, ``v`` for the ``v``-th.
        shifts: Shift down and to the right, ``int64 [n, 2]``, in pixels of the image.
    """

    copies: NDArray[np.int64]
    views: NDArray[np.int64]
    shifts: NDArray[np.int64]

    @cached_property
    def idle(self) -> bool:
        """Whether nothing at all is to be done."""
        return not (self.copies.any() or self.views.any() or self.shifts.any())

    def take(self, rows: NDArray[np.int64]) -> Draws:
        """The decisions for some of the samples."""
        return Draws(self.copies[rows], self.views[rows], self.shifts[rows])
