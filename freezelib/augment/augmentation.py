"""An augmentation, declared part by part, so that each part can say what caching makes of it.

Canonical preprocessing belongs to the images (:class:`~freezelib.images.ImageSet`) and happens
before anything here. Then come, in this order, one of the views, a shift, and what acts on
whatever the trained part reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment.draws import Draws
from freezelib.augment.on_batch import mixed, noisy, scaled
from freezelib.augment.shifts import shift_maps
from freezelib.augment.support import CachedMaps, Support
from freezelib.augment.views import assign_views, get_view
from freezelib.hashing import uniform

_DOWN, _RIGHT, _COPY, _NOISE, _MIXUP, _GAIN = range(1, 7)  # streams of random words


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to a sample each time it is read.

    Attributes:
        views: Addresses of views, as ``"hflip"``; at most one is taken.
        view_probability: Share of samples that take one.
        shift_pixels: Largest shift along each axis; all whole shifts up to it are equally likely.
            It is the random crop of an image that was padded by its own edge.
        noise: Standard deviation of Gaussian noise on what the trained part reads, as a share of
            each sample's root mean square.
        gain: Largest relative change of a sample's scale (brightness).
        mixup: Parameter of the Beta distribution that pairs of samples are mixed by; their labels
            are mixed alike.

    Raises:
        ValueError: A view is unknown or named twice, or a value is out of its range.
    """

    views: tuple[str, ...] = ()
    view_probability: float = 0.5
    shift_pixels: int = 0
    noise: float = 0.0
    gain: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for view in self.views:
            get_view(view)
        if len(set(self.views)) < len(self.views):
            raise ValueError(f"Each view may be named once, but got {self.views}.")
        if not 0 <= self.view_probability <= 1 or not 0 <= self.gain < 1:
            raise ValueError(
                "0 <= view_probability <= 1 and 0 <= gain < 1 must hold, but got "
                f"{self.view_probability} and {self.gain}."
            )
        if not all(0 <= v < math.inf for v in (self.shift_pixels, self.noise, self.mixup)):
            raise ValueError(
                "shift_pixels, noise and mixup must be finite and at least 0, but got "
                f"{self.shift_pixels}, {self.noise} and {self.mixup}."
            )

    def draw(
        self,
        *,
        seed: int,
        epoch: int,
        sample_ids: NDArray[np.int64],
        stored_views: int = 1,
    ) -> Draws:
        """Decide for some samples: a pure function of (seed, epoch, sample id).

        Args:
            seed: Of the training.
            epoch: Of the training.
            sample_ids: ``int64 [n]``.
            stored_views: Maps per sample to choose from, all equally likely. With more than one,
                views and shifts are in the stored maps and are not drawn again.
        """

        def integers(stream: int, below: int) -> NDArray[np.int64]:
            share = uniform(seed, epoch, sample_ids, stream)
            return np.minimum(share * below, below - 1).astype(np.int64)

        stored = stored_views > 1
        reach = 0 if stored else self.shift_pixels
        return Draws(
            copies=integers(_COPY, stored_views),
            views=assign_views(
                seed=seed,
                epoch=epoch,
                sample_ids=sample_ids,
                num_views=0 if stored else len(self.views),
                probability=self.view_probability,
            ),
            shifts=np.stack([integers(s, 2 * reach + 1) - reach for s in (_DOWN, _RIGHT)], axis=1),
        )

    def apply_to_images(self, images: Tensor, draws: Draws) -> Tensor:
        """Views, then shifts, of images ``[n, c, h, w]``: exact, and what a cache has to match."""
        seen = images.clone() if draws.views.any() else images
        for number, address in enumerate(self.views, start=1):
            taken = torch.from_numpy(np.flatnonzero(draws.views == number)).to(images.device)
            if len(taken):
                seen[taken] = get_view(address).apply(images[taken])
        return shift_maps(seen, draws.shifts) if draws.shifts.any() else seen

    def on_batch(
        self, inputs: Tensor, labels: Tensor, *, seed: int, epoch: int, step: int, num_classes: int
    ) -> tuple[Tensor, Tensor]:
        """Gain, noise and mixup of a batch: a pure function of (seed, epoch, step).

        Args:
            inputs: ``[n, ...]``, images or feature maps.
            labels: ``int64 [n]``.
            seed: Of the training.
            epoch: Of the training.
            step: Batch of the epoch.
            num_classes: Width of the soft targets.

        Returns:
            Inputs and targets; under mixup the targets are soft, ``[n, num_classes]``.
        """
        words = (seed, epoch, step)
        if self.gain:
            inputs = scaled(inputs, self.gain, (*words, _GAIN))
        if self.noise:
            inputs = noisy(inputs, self.noise, (*words, _NOISE))
        if self.mixup:
            return mixed(inputs, labels, self.mixup, num_classes, (*words, _MIXUP))
        return inputs, labels

    def support(
        self,
        *,
        image_shape: tuple[int, ...],
        map_shape: tuple[int, ...],
        whole_views: bool = False,
        stored_views: int = 1,
    ) -> dict[str, Support]:
        """What each part that acts becomes on cached maps, and why.

        Args:
            image_shape: ``(c, h, w)``.
            map_shape: ``(C, h', w')``, or ``(tokens, features)`` of a transformer.
            whole_views: Whether the cache holds every channel under every view.
            stored_views: Maps per sample in the cache.
        """
        maps = CachedMaps(
            image_shape=image_shape,
            map_shape=map_shape,
            whole_views=whole_views,
            stored_views=stored_views,
        )
        found = {address: maps.of_view(get_view(address)) for address in self.views}
        if self.shift_pixels:
            found["shift_pixels"] = maps.of_shift(self.shift_pixels)
        meanings = {"noise": "feature noise", "gain": "feature brightness"}
        for part, meaning in (meanings | {"mixup": "manifold mixup"}).items():
            if getattr(self, part):
                found[part] = maps.of_batch(meaning)
        return found

    def require_supported(
        self,
        *,
        image_shape: tuple[int, ...],
        map_shape: tuple[int, ...],
        whole_views: bool = False,
        stored_views: int = 1,
    ) -> None:
        """Refuse what cached maps cannot follow, rather than drop it.

        Raises:
            ValueError: A part is unsupported at this cut.
        """
        found = self.support(
            image_shape=image_shape,
            map_shape=map_shape,
            whole_views=whole_views,
            stored_views=stored_views,
        )
        refused = {part: s.reason for part, s in found.items() if s.kind == "unsupported"}
        if refused:
            reasons = " ".join(f"{part}: {reason}" for part, reason in refused.items())
            raise ValueError(
                "Every part of an augmentation must be supported at the cut, but on maps of "
                f"{map_shape} of images of {image_shape} these are not. {reasons}"
            )
