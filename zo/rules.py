"""What becomes of the measured slopes before they are learned: clipping and one adaptive scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwmodel.checks import require

_TINY = 1e-12


@dataclass
class SlopeRule:
    """Clips slopes and divides them by their own root mean square.

    Adam's second moment per weight is noise when every weight's gradient comes from one number;
    a single scalar for all weights does the same work without the memory.

    Attributes:
        clip: Largest size of a slope; ``None`` leaves them.
        beta2: Decay of the mean square per step; ``None`` does not adapt.
        mean_square: Decayed mean square so far.
        weight: How much of it has been filled, for the bias correction.
    """

    clip: float | None
    beta2: float | None
    mean_square: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.clip is None or self.clip > 0,
            law="clip is None or clip > 0",
            got=f"clip={self.clip}",
            fix="give the largest slope that should pass",
        )
        require(
            self.beta2 is None or 0 <= self.beta2 < 1,
            law="beta2 is None or 0 <= beta2 < 1",
            got=f"beta2={self.beta2}",
            fix="0.99 averages over a hundred steps",
        )

    def __call__(self, slopes: Sequence[float]) -> list[float]:
        """Return the slopes to learn from, one per query."""
        if self.clip is not None:
            slopes = [max(-self.clip, min(self.clip, slope)) for slope in slopes]
        if self.beta2 is None:
            return list(slopes)
        square = sum(slope * slope for slope in slopes) / len(slopes)
        self.mean_square = self.beta2 * self.mean_square + (1 - self.beta2) * square
        self.weight = self.beta2 * self.weight + 1 - self.beta2
        size = math.sqrt(self.mean_square / self.weight) + _TINY
        return [slope / size for slope in slopes]
