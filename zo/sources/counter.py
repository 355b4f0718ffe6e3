"""Sources that draw fresh numbers for every weight of every step.

The flat index is cut into blocks, and each block has a seed of its own, mixed from the source's
seed, the token and the block's place. Any slice of any perturbation can so be made at any time,
in any order, on any rank, without a state to carry.
"""

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zo.sources.base import Source
from zo.sweep import Filler

BLOCK = 1 << 16
_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """Return 63 bits that depend on every word: a chain of splitmix64 finalisers."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


class CounterBased(Source):
    """Base of the sources that draw by block.

    torch's processor generator takes 32 bits of a seed, so in a long training a few blocks repeat
    an earlier one (birthday rate ``blocks**2 / 2**33``); every perturbation still has fresh blocks
    of its own to better than one in a thousand.
    """

    period = None

    @abstractmethod
    def draw(self, out: Tensor, generator: torch.Generator) -> None:
        """Fill ``out``, float32, with numbers of this source's distribution."""

    def draw_block(self, out: Tensor, generator: torch.Generator, token: int, block: int) -> None:
        """Fill ``out`` with the first numbers of a block of a perturbation."""
        seed = dict(self.spec.params)["seed"]
        assert isinstance(seed, int)
        self.draw(out, generator.manual_seed(mix(seed, token, block)))

    def codes(self, token: int, start: int, length: int) -> NDArray[Any]:
        """Return float32 numbers; see ``Source.codes``."""
        out = np.empty(length, np.float32)
        numbers, generator = torch.empty(BLOCK), torch.Generator()
        for block in range(start // BLOCK, -(-(start + length) // BLOCK)):
            self.draw_block(numbers, generator, token, block)
            low, high = max(start, block * BLOCK), min(start + length, (block + 1) * BLOCK)
            out[low - start : high - start] = numbers.numpy()[low - block * BLOCK :][: high - low]
        return out

    @property
    def lsb(self) -> float:
        """Codes are the values themselves."""
        return 1.0

    def distinct_directions(self, num_weights: int) -> float:
        """Return infinity: every perturbation is a new one."""
        return math.inf

    def reuse_factor(self, num_weights: int) -> float:
        """Return 1: each number serves one weight."""
        return 1.0

    def design(self, *, lanes: int | None = None) -> None:
        """Return ``None``: a seeded software generator has no hardware twin.

        A price for such a source comes from a stand-in design of the same distribution.
        """
        return

    def filler(self, dtype: torch.dtype, device: torch.device) -> "DrawFiller":
        """Return the filler for tensors of this kind."""
        return DrawFiller(self, dtype, device)


class DrawFiller(Filler):
    """Fills blocks by drawing them."""

    block = BLOCK

    def __init__(self, source: CounterBased, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(dtype, device, room=source.dim)
        self._source = source
        self._generator = torch.Generator()
        self._numbers = torch.empty(BLOCK)

    def add(self, out: Tensor, token: int, start: int, coef: float) -> None:
        """Draw a block of a perturbation and add it."""
        padded = -(-out.numel() // 64) * 64  # no distribution draws in larger groups
        numbers = self._numbers[:padded]
        self._source.draw_block(numbers, self._generator, token, start // BLOCK)
        out.add_(numbers[: out.numel()].to(out.device), alpha=coef)
