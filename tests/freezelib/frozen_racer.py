"""One of several processes that want the same cache at the same time."""

from pathlib import Path

import torch
from frozen_samples import SAMPLES, frozen_prefix, labelled_images, recipe_for

from freezelib.cache import CacheStore


def race(root, barrier, found):
    torch.set_num_threads(1)
    prefix, data = frozen_prefix(), labelled_images(SAMPLES)
    store = CacheStore(Path(root))
    barrier.wait()
    cache = store.get_or_build(recipe_for(prefix, data), prefix=prefix, data=data)
    found.put((cache.manifest.key, [entry.xxh3_128 for entry in cache.manifest.chunks]))
