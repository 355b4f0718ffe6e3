"""Freeze, cache, augment, compress, and train on the cache. Knows nothing of Ray or MLflow.

Importing the package is free: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freezelib.augment import Augmentation
    from freezelib.cache import CacheRecipe, CacheStore, FeatureCache
    from freezelib.codecs import get_codec
    from freezelib.cuts import Cut, find_cuts, split
    from freezelib.families import register_family
    from freezelib.frozen import FrozenPrefix
    from freezelib.images import ImageSet
    from freezelib.loader import CacheLoader
    from freezelib.models import get_model
    from freezelib.planner import plan_storage
    from freezelib.sources import FrozenImages, ImageChunks
    from freezelib.trainer import FreezeTrainer, TrainerConfig

_HOME = {
    "Augmentation": "freezelib.augment",
    "CacheLoader": "freezelib.loader",
    "CacheRecipe": "freezelib.cache",
    "CacheStore": "freezelib.cache",
    "Cut": "freezelib.cuts",
    "FeatureCache": "freezelib.cache",
    "FreezeTrainer": "freezelib.trainer",
    "FrozenImages": "freezelib.sources",
    "FrozenPrefix": "freezelib.frozen",
    "ImageChunks": "freezelib.sources",
    "ImageSet": "freezelib.images",
    "TrainerConfig": "freezelib.trainer",
    "find_cuts": "freezelib.cuts",
    "get_codec": "freezelib.codecs",
    "get_model": "freezelib.models",
    "plan_storage": "freezelib.planner",
    "register_family": "freezelib.families",
    "split": "freezelib.cuts",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
