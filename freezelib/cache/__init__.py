"""The feature cache: a data set of feature maps, content-addressed, in Arrow files.

A folder under the root holds one cache: ``chunk-00000.arrow`` and so on, and ``manifest.json``,
which is written last and by its presence says that the cache is complete.
"""

from freezelib.cache.errors import (
    CacheError,
    CacheSpaceError,
    DamagedChunkError,
    ManifestError,
)
from freezelib.cache.feature_cache import FeatureCache
from freezelib.cache.recipe import CacheRecipe
from freezelib.cache.store import CacheStore

__all__ = [
    "CacheError",
    "CacheRecipe",
    "CacheSpaceError",
    "CacheStore",
    "DamagedChunkError",
    "FeatureCache",
    "ManifestError",
]
