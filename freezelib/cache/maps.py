"""Where the feature maps of a build come from: from the images, or from the cache before."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from freezelib.augment import Augmentation, View
from freezelib.cache.feature_cache import FeatureCache
from freezelib.cache.recipe import CacheRecipe
from freezelib.codecs.scratch import Scratch
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet

FORWARD_SAMPLES = 256  # samples per forward; bounds memory, not part of the result


class Maps(Protocol):
    """Feature maps of the samples of one chunk."""

    def stored(self, number: int, chunk: int, rows: Tensor) -> Tensor:
        """The ``number``-th stored view (0: canonical) of a chunk's samples."""
        ...

    def under(self, view: View, channels: list[int], rows: Tensor) -> Tensor:
        """Some channels of what the prefix makes of the images under a view."""
        ...


class ImageMaps:
    """Runs a frozen prefix over the images."""

    def __init__(self, prefix: FrozenPrefix, data: ImageSet, recipe: CacheRecipe) -> None:
        self._prefix, self._data, self._seed = prefix, data, recipe.order_seed
        self._augmentation = Augmentation(
            views=recipe.views,
            view_probability=recipe.view_probability,
            shift_pixels=recipe.shift_pixels,
        )

    def stored(self, number: int, chunk: int, rows: Tensor) -> Tensor:
        """See :class:`Maps`."""
        return torch.cat([self._prefix(self._seen(number, part)) for part in _parts(rows)])

    def under(self, view: View, channels: list[int], rows: Tensor) -> Tensor:
        """See :class:`Maps`."""
        return torch.cat(
            [self._prefix(view.apply(self._data.read(part)))[:, channels] for part in _parts(rows)]
        )

    def _seen(self, number: int, rows: Tensor) -> Tensor:
        images = self._data.read(rows)
        if number == 0:
            return images
        draws = self._augmentation.draw(  # negative, because training counts its epochs from 0
            seed=self._seed, epoch=-number, sample_ids=rows.numpy()
        )
        return self._augmentation.apply_to_images(images, draws)


class AdvancedMaps:
    """Runs the newly frozen layers over the maps of the cache before, without the images.

    The error of that cache's codec stays in the maps. Sensitive channels cannot be had this way,
    because the true maps under a view are not in the cache.

    Args:
        cache: The cache before, of the same samples in the same chunks.
        middle: The layers between its freeze point and the new one, frozen.
        recipe: What is to be built.

    Raises:
        ValueError: The recipe asks for what the cache before does not hold.
    """

    def __init__(self, cache: FeatureCache, middle: nn.Module, recipe: CacheRecipe) -> None:
        before = cache.recipe
        same = ("data_fingerprint", "chunk_samples", "order_seed", "stored_views", "views")
        if differing := [n for n in same if getattr(before, n) != getattr(recipe, n)]:
            raise ValueError(
                "A cache can be made of the one before only for the same samples, chunks and "
                f"stored views, but {', '.join(differing)} differ: build it from the images."
            )
        if recipe.views and recipe.stored_views == 1:
            raise ValueError(
                "A cache made of the one before cannot have views of its own, because their true "
                f"maps are not cached, but got views={recipe.views}: build it from the images."
            )
        self._cache, self._middle = cache, FrozenPrefix(middle)

    def stored(self, number: int, chunk: int, rows: Tensor) -> Tensor:
        """See :class:`Maps`."""
        window = self._cache.window([chunk])
        assert np.array_equal(window.sample_ids, rows.numpy())
        maps = torch.empty(len(rows), *self._cache.sample_shape)
        window.decode_into(number, np.arange(len(rows)), maps, Scratch())
        return torch.cat([self._middle(part) for part in maps.split(FORWARD_SAMPLES)])

    def under(self, view: View, channels: list[int], rows: Tensor) -> Tensor:
        """There is none."""
        raise AssertionError("refused when this was made")


def _parts(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(FORWARD_SAMPLES)
