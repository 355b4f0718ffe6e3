"""Three distributions, drawn afresh for every weight of every step."""

import torch
from torch import Tensor

from zo.addresses import make_spec
from zo.scaling import expected_norm
from zo.sources.counter import CounterBased


class Gaussian(CounterBased):
    """Standard normal numbers: what zeroth-order training is used to.

    Args:
        seed: Which training.
    """

    variance = 1.0

    def __init__(self, seed: int = 0) -> None:
        self.spec = make_spec("gaussian", seed=seed)

    def window_norm(self, token: int, start: int, length: int) -> float:
        """Return the expected norm, so that the modulus scale is exactly 1."""
        return expected_norm(length)

    def draw(self, out: Tensor, generator: torch.Generator) -> None:
        """Fill ``out`` with standard normal numbers."""
        out.normal_(generator=generator)


class Uniform(CounterBased):
    """Real numbers uniform over (-1, 1).

    Args:
        seed: Which training.
        signed: Without it the numbers are uniform over [0, 1). Their mean is then not zero, so
            the direction in which all weights grow drowns the others: a control that fails.
    """

    variance = 1 / 3

    def __init__(self, seed: int = 0, *, signed: bool = True) -> None:
        self.spec = make_spec("uniform", seed=seed, signed=signed)
        self._low = -1.0 if signed else 0.0

    def draw(self, out: Tensor, generator: torch.Generator) -> None:
        """Fill ``out`` with uniform numbers."""
        out.uniform_(self._low, 1.0, generator=generator)


class Rademacher(CounterBased):
    """Signs, +1 or -1: one random bit per weight, and always the same norm.

    Sixty-four signs come out of each random word, eight at a time, by a table.

    Args:
        seed: Which training.
    """

    variance = 1.0

    def __init__(self, seed: int = 0) -> None:
        self.spec = make_spec("rademacher", seed=seed)
        bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
        self._signs = (2 * bits - 1).float()

    def draw(self, out: Tensor, generator: torch.Generator) -> None:
        """Fill ``out`` with signs; its length is a multiple of 64."""
        words = torch.empty(out.numel() // 64, dtype=torch.int64)
        words.random_(-(2**63), None, generator=generator)
        torch.index_select(self._signs, 0, words.view(torch.uint8).int(), out=out.view(-1, 8))
