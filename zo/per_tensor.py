"""A modulus scale for every tensor by itself.

Under one scale for the whole model a short tensor's window of a pool may be longer or shorter than
a Gaussian vector of its size; under its own it is not. The price is that no two blocks of the flat
index hold the same numbers any more, so a periodic source loses its cheap passes and its small
slots.
"""

from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor

from zo.scaling import Scaling, expected_norm, modulus_scale
from zo.sources.base import Source
from zo.sweep import Filler
from zo.weights import Weight, cut_blocks


class TensorScales:
    """The modulus scales of a model's tensors.

    Args:
        source: A bound source.
        weights: The tensors, in flat order.
        scaling: As of ``ZO``.
    """

    def __init__(self, source: Source, weights: Sequence[Weight], scaling: Scaling) -> None:
        self._source, self._weights, self._scaling = source, weights, scaling
        self._places = [weight.offset for weight in source.places(weights)]
        self.of = lru_cache(maxsize=8)(self._of)

    def _of(self, token: int) -> list[float]:
        """Return a perturbation's scale for each tensor."""
        return [modulus_scale(self._scaling, exact=e) for e in self._exact(token)]

    def ratio(self, token: int) -> float:
        """Return the norm of a scaled perturbation over that of an exactly scaled one."""
        sizes = [weight.flat.numel() for weight in self._weights]
        both = zip(self.of(token), self._exact(token), sizes, strict=True)
        squares = sum((scale / exact) ** 2 * size for scale, exact, size in both)
        return float((squares / sum(sizes)) ** 0.5)

    def _exact(self, token: int) -> list[float]:
        scales = []
        for place, weight in zip(self._places, self._weights, strict=True):
            size = weight.flat.numel()
            norm = self._source.window_norm(token, place, size)
            # A few numbers can all be zero; whatever scales them, they stay it.
            scales.append(expected_norm(size) / (norm or 1.0))
        return scales

    def filler(self, inner: Filler) -> "ScaledFiller":
        """Return a filler of scaled numbers, for weights at their flat offsets."""
        return ScaledFiller(inner, self, self._weights, self._places)


class ScaledFiller(Filler):
    """Fills blocks with another filler's numbers, each times the scale of its tensor."""

    def __init__(
        self, inner: Filler, scales: TensorScales, weights: Sequence[Weight], places: list[int]
    ) -> None:
        self.block = inner.block
        last = weights[-1]
        room = last.offset + last.flat.numel()
        super().__init__(inner.scratch.dtype, inner.scratch.device, room=room)
        self._inner, self._scales = inner, scales
        self._pieces: dict[int, list[tuple[int, slice, int]]] = {}
        for number, (weight, place) in enumerate(zip(weights, places, strict=True)):
            for block in cut_blocks([weight], self.block):
                ((low, high),) = block.spans
                first = place + block.start + low - weight.offset
                piece = (number, slice(low, high), first)
                self._pieces.setdefault(block.start, []).append(piece)

    def add(self, out: Tensor, token: int, start: int, coef: float) -> None:
        """Add a block of scaled numbers."""
        if not self._inner.anywhere:
            self._inner.fill({token: coef}, start, out.numel())
        scales = self._scales.of(token)
        for number, span, first in self._pieces.get(start, ()):
            piece = out[span]
            if self._inner.anywhere:
                self._inner.add(piece, token, first, coef * scales[number])
            else:
                drawn = self._inner.scratch[span][: piece.numel()]
                piece.add_(drawn, alpha=scales[number])
