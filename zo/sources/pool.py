"""The pre-generated source: a pool of numbers, repeated along the weights."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from hwmodel.designs.pool import Pool as Design
from hwmodel.directions import distinct_places, smallest_repair
from zo.addresses import make_spec
from zo.sources.counter import mix
from zo.sources.periodic import Periodic
from zo.weights import Weight


class Pool(Periodic):
    """A pool of ``size`` numbers that all weights share.

    Training sees as many distinct directions as its perturbations have phases. By default the
    numbers that a perturbation leaves over begin the next one, which makes
    ``size / gcd(num_weights, size)``: a prime size has them all on every model that it does not
    divide.

    Args:
        size: Numbers in the pool.
        bits: Bits per number.
        phase: Where a perturbation begins. ``leftover``: where the last one ended. ``stride``:
            ``stride`` numbers further than the last one. ``random``: anywhere, by a hash.
            ``fixed``: always at the pool's start, a single direction, as a control.
        stride: Numbers from one perturbation's phase to the next, under ``phase="stride"``.
        indexing: ``flat`` runs through all tensors; ``per_tensor`` begins each tensor at the phase
            again.
        seed: Which numbers.
        repair: Skip the few numbers between perturbations that let training meet every phase.

    Raises:
        ValueError: If a parameter is out of bounds.
    """

    def __init__(
        self,
        size: int = 4093,
        *,
        bits: int = 8,
        phase: str = "leftover",
        stride: int = 1,
        indexing: str = "flat",
        seed: int = 0,
        repair: bool = True,
    ) -> None:
        self.spec = make_spec(
            "pool",
            size=size,
            bits=bits,
            phase=phase,
            stride=stride,
            indexing=indexing,
            seed=seed,
            repair=repair,
        )
        self.size, self.bits, self.seed, self.repair = size, bits, seed, repair
        self.rule, self.stride, self.indexing = phase, stride, indexing
        self.control = phase == "fixed"

    def design(self, *, lanes: int | None = None) -> Design:
        """Return the memory that holds these numbers.

        Args:
            lanes: Numbers read per clock; 1 by default.
        """
        if lanes is None or lanes == 1:
            return self._design
        return replace(self._design, lanes=lanes)

    @cached_property
    def _design(self) -> Design:
        return Design(size=self.size, bits=self.bits, seed=self.seed)

    def advance(self, num_weights: int) -> int:
        """Return by how many numbers the phase moves per perturbation, repairs included."""
        if self.rule == "fixed":
            return 0
        stride = self.stride if self.rule == "stride" else num_weights
        return stride + (smallest_repair(self.size, advance=stride) if self.repair else 0)

    def phase(self, token: int) -> int:
        """Return the place in the pool where a perturbation begins."""
        if self.rule == "random":
            return mix(self.seed, token) % self.size
        return super().phase(token)

    def distinct_directions(self, num_weights: int) -> int:
        """Return how many different perturbations a whole training can see."""
        if self.rule == "random":
            return self.size
        return distinct_places(self.size, advance=self.advance(num_weights))

    def places(self, weights: Sequence[Weight]) -> list[Weight]:
        """Return the weights at their offsets in this source's stream of numbers."""
        if self.indexing == "flat":
            return list(weights)
        return [replace(weight, offset=0) for weight in weights]

    def codes(self, token: int, start: int, length: int) -> NDArray[np.int32]:
        """Return integer codes, int32; see ``Source.codes``."""
        if self.indexing == "flat":
            return super().codes(token, start, length)
        parts = []
        for first, last in pairwise(accumulate(self.sizes, initial=0)):
            at, stop = max(start, first), min(start + length, last)
            parts.append(super().codes(token, at - first, max(0, stop - at)))
        return np.concatenate(parts)

    def sumsq(self, token: int) -> float:
        """Return the sum of squared values of a perturbation, exact."""
        sizes = [self.dim] if self.indexing == "flat" else self.sizes
        return sum(self.window_sumsq(token, 0, size) for size in sizes)
