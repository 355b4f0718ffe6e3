"""What a stream is worth to zeroth-order training, beside what it costs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Audit:
    """How often a source repeats itself over ``num_weights`` weights.

    Attributes:
        period: Numbers after which the stream repeats; ``None`` if no formula is known.
        distinct_directions: Different perturbations that training can ever see; ``None`` if no
            formula is known.
        num_weights: Weights that one perturbation covers.
    """

    period: int | None
    distinct_directions: int | None
    num_weights: int

    @property
    def reuse_factor(self) -> float:
        """Return the weights that share one generated number within a perturbation."""
        return max(1.0, self.num_weights / self.period) if self.period else 1.0
