"""What a perturbation source is."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray

from hwmodel.checks import require
from zo.addresses import SourceSpec
from zo.scaling import expected_norm
from zo.sweep import Filler
from zo.weights import Weight


class Source(ABC):
    """Random-access, stateless numbers for the perturbations of a training.

    A source is a value: nothing that is called changes it. ``bind`` returns a copy that knows how
    many weights a perturbation has, and only a bound source makes numbers. A perturbation is named
    by its *token*, the place it has among all perturbations of the training, and number ``i`` of
    it belongs to weight ``i`` of the flat order; its value is ``code * lsb``.
    """

    spec: SourceSpec
    num_weights: int | None = None
    queries: int = 1
    sizes: tuple[int, ...] = ()

    def bind(
        self, num_weights: int, *, queries: int = 1, sizes: Sequence[int] | None = None
    ) -> Self:
        """Return this source for a given model.

        Args:
            num_weights: Weights per perturbation.
            queries: Perturbations per step.
            sizes: Weights of each tensor in flat order; by default one tensor holds them all.

        Raises:
            ValueError: If a count is not positive, or the source would be degenerate.
        """
        for name, value in (("num_weights", num_weights), ("queries", queries)):
            require(
                value >= 1,
                law=f"{name} >= 1",
                got=f"{name}={value}",
                fix="count what is trained, and ask for at least one perturbation per step",
            )
        bound = copy.copy(self)
        bound.num_weights, bound.queries = num_weights, queries
        bound.sizes = tuple(sizes or (num_weights,))
        return bound

    @property
    def dim(self) -> int:
        """Weights per perturbation of a bound source."""
        if self.num_weights is None:
            raise ValueError(
                "a source must know its weight count before it makes numbers, but this one is "
                "not bound: use the source that source.bind(num_weights) returns"
            )
        return self.num_weights

    def token(self, step: int, query: int = 0) -> int:
        """Return the name of a perturbation: its place among all of the training's."""
        return step * self.queries + query

    @abstractmethod
    def codes(self, token: int, start: int, length: int) -> NDArray[Any]:
        """Return numbers ``start : start + length`` of a perturbation, shape ``(length,)``.

        Integer sources return int32 codes; real-valued ones float32 with ``lsb`` 1.
        """

    @property
    @abstractmethod
    def lsb(self) -> float:
        """Value of one code step."""

    @property
    @abstractmethod
    def period(self) -> int | None:
        """Numbers after which the stream repeats; ``None`` if it never does."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Mean square of one value."""

    def sumsq(self, token: int) -> float:
        """Return the sum of squared values of a perturbation, over all weights."""
        values = self.codes(token, 0, self.dim).astype("float64") * self.lsb
        return float(values @ values)

    def norm(self, token: int) -> float:
        """Return the norm of a perturbation, which the modulus scale divides by."""
        return self.window_norm(token, 0, self.dim)

    def window_norm(self, token: int, start: int, length: int) -> float:
        """Return the norm of ``length`` numbers of a perturbation, from ``start`` on.

        For numbers drawn afresh this is the expected norm, not the drawn one, since measuring the
        drawn one would cost a pass: ``sqrt(length * variance)``, relative spread
        ``1 / sqrt(2 length)``.
        """
        return math.sqrt(length * self.variance)

    def exact_scale(self, token: int) -> float:
        """Return the factor that gives a perturbation the expected norm of a Gaussian one."""
        return expected_norm(self.dim) / self.norm(token)

    @abstractmethod
    def distinct_directions(self, num_weights: int) -> float:
        """Return how many different perturbations a whole training can see; may be ``inf``."""

    @abstractmethod
    def reuse_factor(self, num_weights: int) -> float:
        """Return the weights served per generated random number, at least 1."""

    @abstractmethod
    def design(self, *, lanes: int | None = None) -> Any:
        """Return the ``hwmodel`` design that emits these very numbers, or ``None``."""

    @abstractmethod
    def filler(self, dtype: torch.dtype, device: torch.device) -> Filler:
        """Return what a weight sweep over tensors of this kind needs."""

    def places(self, weights: Sequence[Weight]) -> list[Weight]:
        """Return the weights at their offsets in this source's stream of numbers."""
        return list(weights)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec}>"
