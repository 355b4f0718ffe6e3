"""Fixed-point weights: in place, without a copy, and exact.

Weights are kept at multiples of one power of two, the *grid*, and whatever is added to them is
rounded to the grid first. Floats add multiples of a power of two exactly as long as the sum fits
their significand, so a perturbation that was added is taken away again to the bit. It is what
integer weights do in hardware, in the weights' own floats.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hwmodel.checks import require
from zo.sources.counter import mix
from zo.sweep import Filler, Terms, blocks_of
from zo.walk import Walk
from zo.weights import Block, Weight

HEADROOM_BITS = 2
"""By how many powers of two the largest weight may grow."""


class Part(NamedTuple):
    """A sum of perturbations that is rounded to the grid as one.

    Attributes:
        terms: The sum.
        dither: Seed of a random rounding, up or down, which is right on average; ``None`` rounds
            to the nearest, so that a part and its negative cancel.
    """

    terms: Terms
    dither: int | None = None


class FixedPoint(Walk):
    """Moves the weights themselves along a grid: no copy, one pass per visit, nothing drifts.

    Perturbations are rounded to the nearest multiple of the grid. What is learned is rounded up or
    down at random, so that steps below the grid are learned on average. The grid is chosen, and
    the weights are moved to it, with the first visit.
    """

    def prepare(self) -> None:
        """Make the passes."""
        self._passes = [
            (kind.group, GridPass(self.fillers[kind[1:]], part))
            for kind, part in self.kinds.items()
        ]
        self._learned = 0
        self.forget()

    def forget(self) -> None:
        """Declare the weights settled, whatever they are."""
        self._at: Terms = {}
        self._owed: list[dict[int, float]] = [{} for _ in self.groups]

    @property
    def settled(self) -> bool:
        """Whether the weights are ``theta``."""
        return not self._at and not any(self._owed)

    def visit(self, token: int, offset: float) -> None:
        """Move the weights to ``theta + offset * z`` of a perturbation, in one pass."""
        self._move({token: offset})

    def settle(self) -> None:
        """Move the weights to ``theta``; costs nothing if they are there."""
        if not self.settled:
            self._move({})

    def learn(self, group: int, updates: Mapping[int, float], *, decay: float) -> None:
        """Move a group's ``theta`` by the sum of updates, on account."""
        assert decay == 1.0, "refused when the optimizer was built"
        owed = self._owed[group]
        for token, coef in updates.items():
            owed[token] = owed.get(token, 0.0) + coef

    def state_dict(self) -> dict[str, Any]:
        """Return the slots, the grids and how often was learned, which seeds the rounding."""
        grids = [one.grid for _, one in self._passes]
        return {**super().state_dict(), "grids": grids, "learned": self._learned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the present weights for those of the state, and its grids."""
        super().load_state_dict(state)
        self._learned = state["learned"]
        for (_, one), grid in zip(self._passes, state["grids"], strict=True):
            one.grid = grid

    def _move(self, to: Terms) -> None:
        back = Part({token: -offset for token, offset in self._at.items()})
        for _, one in self._passes:
            one.begin(to)
        try:
            for group, one in self._passes:
                learned = Part(self._owed[group], dither=mix(self._learned, group))
                one([part for part in (back, learned, Part(to)) if part.terms])
        finally:  # weights that have outgrown their grid have moved as well
            self._learned += any(self._owed)
            self.passes += 1
            self.forget()
            self._at = to


class GridPass:
    """A pass over weights that stays on the grid.

    Attributes:
        grid: Distance of neighbouring values, a power of two; ``None`` before the first pass.
    """

    grid: float | None = None

    def __init__(self, filler: Filler, weights: Sequence[Weight]) -> None:
        self._filler, self._weights = filler, weights
        self._digits = min(_significant_bits(weight.tensor.dtype) for weight in weights)
        self._sum = torch.empty_like(filler.scratch)
        self._blocks = [
            (block, [self._sum[low:high] for low, high in block.spans])
            for block in blocks_of(weights, filler)
        ]
        self._bound = math.inf

    def begin(self, to: Terms) -> None:
        """Make sure that there is a grid, and that a perturbation is not lost on it.

        Raises:
            ValueError: If the perturbation is finer than the grid.
        """
        if self.grid is None:
            self._settle_on_grid()
        assert self.grid is not None
        for offset in map(abs, to.values()):
            require(
                offset >= self.grid,
                law="a perturbation is no finer than the weights' grid",
                got=f"eps * scale = {offset:.3g} on a grid of {self.grid:.3g}",
                fix="take a larger eps, float32 weights, or restore='delta' or 'master'",
            )

    def __call__(self, parts: Sequence[Part]) -> None:
        """Add parts to the weights, each rounded to the grid.

        Raises:
            ValueError: If the weights have outgrown the grid.
        """
        most = max(self._add(block, slices, parts) for block, slices in self._blocks)
        self._bound += most
        if self._bound > self._limit:
            self._bound = _largest(self._weights)
            self._refuse_outgrown()

    @property
    def _limit(self) -> float:
        """Size up to which all multiples of the grid are floats of the weights' kind."""
        assert self.grid is not None
        return self.grid * 2.0**self._digits

    def _settle_on_grid(self) -> None:
        largest = max(_largest(self._weights), torch.finfo(torch.float32).tiny)
        self.grid = 2.0 ** (math.ceil(math.log2(largest)) + HEADROOM_BITS - self._digits)
        for weight in self._weights:
            weight.flat.copy_(weight.flat.double().div_(self.grid).round_().mul_(self.grid))

    def _add(self, block: Block, slices: Sequence[Tensor], parts: Sequence[Part]) -> float:
        """Add to the weights of one block, and return the most that was added."""
        total = self._sum[: block.length].zero_()
        for part in parts:
            self._filler.fill(part.terms, block.start, block.length)
            total.add_(self._rounded(self._filler.scratch[: block.length], part, block.start))
        torch._foreach_add_(block.views, list(slices))
        return float(total.abs().max())

    def _rounded(self, numbers: Tensor, part: Part, start: int) -> Tensor:
        assert self.grid is not None
        numbers.div_(self.grid)
        if part.dither is None:
            numbers.round_()
        else:
            generator = torch.Generator().manual_seed(mix(part.dither, start))
            noise = torch.rand(numbers.numel(), generator=generator)
            numbers.add_(noise.to(numbers.device)).floor_()
        return numbers.mul_(self.grid)

    def _refuse_outgrown(self) -> None:
        require(
            self._bound <= self._limit,
            law=f"fixed-point weights stay within {self._limit:.4g}",
            got=f"a weight of {self._bound:.4g}",
            fix="take a smaller lr; to let weights grow further, restore='lazy' or 'delta'",
        )


def _significant_bits(dtype: torch.dtype) -> int:
    return 1 - round(math.log2(torch.finfo(dtype).eps))


def _largest(weights: Sequence[Weight]) -> float:
    return max(float(weight.flat.abs().max()) for weight in weights)
