"""Similarity-aware channel augmentation: which channels a view changes beyond its counterpart.

For a view T with counterpart T', channel c of ``T'(f(x))`` is held against channel c of
``f(T(x))``. Where they agree the cached map can simply be transformed when it is read; where they
do not, the channel is *sensitive* and its true value is cached once more. In between, a corrector
brings the counterpart closer without any storage; then channels are ranked by what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from freezelib.addresses import unknown
from freezelib.augment.corrector import correct_maps, fit_corrector
from freezelib.augment.moments import Moments
from freezelib.augment.views import View
from freezelib.hashing import permutation
from freezelib.scorers import SCORERS

_RANDOM = 7  # stream of random words


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is cached of a view.

    Attributes:
        channels: The sensitive ones, ascending.
        scores: One for each channel; the lower, the more is won by caching it.
        corrector: ``float32 [C, C + 1]``, where there is one.
        residual: Relative L2 error of the map that is read against the true one, on the images
            that were scored.
    """

    channels: list[int]
    scores: list[float]
    corrector: Tensor | None
    residual: float


@torch.no_grad()
def select_channels(
    prefix: nn.Module,
    batches: Iterable[Tensor],
    view: View,
    *,
    scorer: str = "corr",
    threshold: float = 0.9,
    max_fraction: float = 0.25,
    correct: bool = False,
    channel_gain: Tensor | None = None,
    seed: int = 0,
) -> Selection:
    """Rank the channels of a prefix under a view, and take those that need it.

    Args:
        prefix: Maps images ``[n, c, h, w]`` to feature maps ``[n, C, h', w']``.
        batches: Canonical images; a corrector goes through them twice.
        view: The augmentation.
        scorer: ``corr`` and ``cosine`` are the correlation with and without centring; ``rel_l2``
            is 1 minus a channel's error over its own norm, ``error_energy`` over the norm of all
            channels. Controls: ``random`` takes its budget by lot, whatever the threshold;
            ``all`` takes every channel, ``none`` no channel, whatever the budget.
        threshold: Score under which a channel is sensitive.
        max_fraction: Budget, as a share of all channels. A threshold alone can silently mean
            "cache everything twice".
        correct: Whether to fit a corrector. Scores and residual are those that it leaves.
        channel_gain: Weights ``[C]`` of ``error_energy``, as of
            :func:`~freezelib.augment.next_layer_gain`.
        seed: Of the lot.

    Returns:
        The selection. A dead channel is never in it, but for ``all``.

    Raises:
        ValueError: The scorer is unknown, there is no image, a map is not finite, the gains are
            not one per channel, or the view moves, the maps are tokens, and not all are to be
            cached.
    """
    if scorer not in SCORERS:
        raise unknown("scorer", scorer, SCORERS)
    if scorer == "all":
        return _everything(prefix, batches)
    if correct and isinstance(batches, Iterator):
        raise ValueError("A corrector goes through the batches twice: give them as a list.")

    def pairs(corrector: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        for images in batches:
            counterpart = view.counterpart(_movable(prefix(images), view))
            if corrector is not None:
                counterpart = correct_maps(counterpart, corrector)
            yield counterpart, prefix(view.apply(images))

    corrector = fit_corrector(pairs()) if correct else None
    moments = Moments.of(pairs(corrector))
    scores = _SCORES[scorer](moments, channel_gain, seed)
    channels = sensitive_channels(
        scores,
        threshold=math.inf if scorer == "random" else threshold,
        max_fraction=0.0 if scorer == "none" else max_fraction,
        dead=moments.dead,
    )
    return Selection(
        channels=channels,
        scores=scores.tolist(),
        corrector=corrector,
        residual=moments.residual(channels),
    )


def sensitive_channels(
    scores: Tensor, *, threshold: float, max_fraction: float, dead: Tensor | None = None
) -> list[int]:
    """Channels whose score lies under the threshold, worst first until the budget is spent.

    Args:
        scores: ``[C]``.
        threshold: Score under which a channel is cached once more.
        max_fraction: Budget, as a share of all channels.
        dead: ``bool [C]``, channels of which there is nothing to cache.

    Returns:
        Channel numbers in ascending order.
    """
    budget = math.floor(max_fraction * len(scores) + 1e-9)
    worst_first = torch.argsort(scores, stable=True).tolist()
    alive = [c for c in worst_first if dead is None or not dead[c]]
    return sorted(c for c in alive[:budget] if scores[c] < threshold)


def _everything(prefix: nn.Module, batches: Iterable[Tensor]) -> Selection:
    """Every channel, dead or not, whatever the maps are: the exact cache of a view."""
    for images in batches:
        num_channels = prefix(images[:1]).shape[1]
        return Selection(
            channels=list(range(num_channels)),
            scores=[0.0] * num_channels,
            corrector=None,
            residual=0.0,
        )
    raise ValueError("Finding the channels needs at least one batch of images, but got none.")


def _movable(maps: Tensor, view: View) -> Tensor:
    if view.moves and maps.ndim != 4:
        raise ValueError(
            f"The view {view.name!r} has a counterpart on feature maps [n, C, h, w] only, but the "
            f"prefix makes {list(maps.shape)}: cache it whole (scorer='all')."
        )
    return maps


Score = Callable[[Moments, Tensor | None, int], Tensor]

_SCORES: dict[str, Score] = {
    "corr": lambda moments, gain, seed: moments.correlation(),
    "cosine": lambda moments, gain, seed: moments.cosine(),
    "rel_l2": lambda moments, gain, seed: moments.relative_error(),
    "error_energy": lambda moments, gain, seed: moments.error_energy(gain),
    "random": lambda moments, gain, seed: _lots(len(moments.error), seed),
    "none": lambda moments, gain, seed: moments.correlation(),
}


def _lots(count: int, seed: int) -> Tensor:
    return torch.from_numpy(permutation(count, seed, _RANDOM)).double() / count
