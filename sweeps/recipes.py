"""A trial's cache config in the words of freezelib."""

from __future__ import annotations

from freezelib.augment import Augmentation
from freezelib.cache import CacheRecipe
from sweeps.config import CacheConfig
from sweeps.typed import to_dict


def augmentation(config: CacheConfig) -> Augmentation:
    """What happens to each sample, on images and on cached maps alike."""
    return Augmentation(
        views=config.views,
        view_probability=config.view_probability,
        shift_pixels=config.shift_pixels,
    )


def recipe_template(config: CacheConfig) -> CacheRecipe:
    """The recipe of a trial's cache, but for the prefix and the data."""
    return CacheRecipe(**to_dict(config) | {"views": config.views})
