"""How alike two sets of maps are, channel by channel, from sums over samples and positions.

The sums run in float64 over batches, so that memory does not grow with the number of samples. All
scores lie in [-1, 1]; 1 says that there is nothing to be won by caching a channel once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

_DEAD = 1e-6  # share of the median channel energy under which a channel carries nothing
_ROUNDING = 1e-10  # share of a channel's energy under which its variance is rounding alone


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean values ``float64 [C]`` over all samples and positions of maps ``a`` and ``b``.

    Attributes:
        mean_a: Of ``a``, the counterparts.
        mean_b: Of ``b``, the true maps.
        square_a: Of ``a`` squared.
        square_b: Of ``b`` squared.
        product: Of ``a b``.
        error: Of ``(a - b)`` squared.
    """

    mean_a: Tensor
    mean_b: Tensor
    square_a: Tensor
    square_b: Tensor
    product: Tensor
    error: Tensor

    @classmethod
    def of(cls, pairs: Iterable[tuple[Tensor, Tensor]]) -> Moments:
        """Sum over pairs of maps ``[n, C, ...]``.

        Raises:
            ValueError: There is no pair, or a map is not finite.
        """
        count, sums = 0, torch.zeros(())
        for maps_a, maps_b in pairs:
            a, b = (by_channel(maps) for maps in (maps_a, maps_b))
            error, dot = a - b, torch.linalg.vecdot
            of_each = (a.sum(1), b.sum(1), dot(a, a), dot(b, b), dot(a, b), dot(error, error))
            sums = sums + torch.stack(of_each)
            count += a.shape[1]
        if count == 0:
            raise ValueError("Scoring a view needs at least one batch of images, but got none.")
        if not sums.isfinite().all():
            raise ValueError("Feature maps must be finite, but the prefix made others.")
        return cls(**{f.name: total / count for f, total in zip(fields(cls), sums, strict=True)})

    @property
    def dead(self) -> Tensor:
        """Channels that carry nothing, ``bool [C]``."""
        return self.square_b <= _DEAD * self.square_b.median()

    def correlation(self) -> Tensor:
        """Centred, because behind a ReLU a plain cosine is high for any two maps.

        1 for a dead channel, and for one that is constant on both sides; 0 for one that is
        constant on one side only, of which the other says nothing.
        """
        variance_a = self.square_a - self.mean_a**2
        variance_b = self.square_b - self.mean_b**2
        constant_a = variance_a <= _ROUNDING * self.square_a
        constant_b = variance_b <= _ROUNDING * self.square_b
        value = (self.product - self.mean_a * self.mean_b) / (variance_a * variance_b).sqrt()
        value = torch.where(constant_a | constant_b, 0.0, value)
        return torch.where(self.dead | (constant_a & constant_b), 1.0, value).clamp(-1, 1)

    def cosine(self) -> Tensor:
        """Without centring; 0 where the counterpart is dead, and 1 where the true channel is."""
        norms = (self.square_a * self.square_b).sqrt()
        value = torch.where(norms > 0, self.product / norms, 0.0)
        return torch.where(self.dead, 1.0, value).clamp(-1, 1)

    def relative_error(self) -> Tensor:
        """1 minus the L2 error of a channel over its norm."""
        value = 1 - (self.error / self.square_b).sqrt()
        return torch.where(self.dead, 1.0, value).clamp(-1, 1)

    def error_energy(self, gain: Tensor | None = None) -> Tensor:
        """1 minus the L2 error of a channel over the root mean square norm of all channels.

        A channel of much energy scores low for an error that would be small for itself: the worst
        channels are those that carry the most of the whole error.

        Args:
            gain: Weights ``[C]`` of squared values, errors and norms alike.

        Raises:
            ValueError: There is not one finite gain of at least 0 per channel.
        """
        weights = torch.ones_like(self.error) if gain is None else gain.double()
        valid = bool(((weights >= 0) & weights.isfinite()).all())
        if weights.shape != self.error.shape or not valid:
            raise ValueError(
                f"channel_gain must have one finite value >= 0 for each of {len(self.error)} "
                f"channels, but is {weights.tolist()}."
            )
        whole = (self.square_b * weights).mean()
        value = 1 - (self.error * weights / whole).sqrt()
        return torch.where(self.dead | (whole == 0), 1.0, value).clamp(-1, 1)

    def residual(self, replaced: list[int]) -> float:
        """Relative L2 error of all channels together when some are replaced by the true ones."""
        left = self.error.clone()
        left[replaced] = 0.0
        whole = float(self.square_b.sum())
        return (float(left.sum()) / whole) ** 0.5 if whole else 0.0


def by_channel(maps: Tensor) -> Tensor:
    """Maps ``[n, C, ...]`` as ``float64 [C, everything else]``."""
    return maps.transpose(0, 1).flatten(1).double()
