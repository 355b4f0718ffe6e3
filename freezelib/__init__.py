"""Freeze, cache, augment, compress, and train on the cache. Knows nothing of Ray or MLflow.

Importing the package is free: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freezelib.cache import CacheRecipe, CacheStore, FeatureCache
    from freezelib.codecs import get_codec
    from freezelib.cuts import Cut, find_cuts, split
    from freezelib.frozen import FrozenPrefix
    from freezelib.images import ImageSet
    from freezelib.loader import CacheLoader, ImageChunks
    from freezelib.models import get_model

_HOME = {
    "CacheLoader": "freezelib.loader",
    "CacheRecipe": "freezelib.cache",
    "CacheStore": "freezelib.cache",
    "Cut": "freezelib.cuts",
    "FeatureCache": "freezelib.cache",
    "FrozenPrefix": "freezelib.frozen",
    "ImageChunks": "freezelib.loader",
    "ImageSet": "freezelib.images",
    "find_cuts": "freezelib.cuts",
    "get_codec": "freezelib.codecs",
    "get_model": "freezelib.models",
    "split": "freezelib.cuts",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
