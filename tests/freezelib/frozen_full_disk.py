"""Builds a cache on a disk that fills up on the way, and again when there is room."""

import sys
from pathlib import Path

from frozen_samples import labelled_images, recipe_for
from torch import nn

from freezelib.cache import CacheSpaceError, CacheStore
from freezelib.frozen import FrozenPrefix


class Filling(nn.Module):
    """A prefix during whose fifth batch another program takes all that is left of the disk."""

    def __init__(self, disk):
        super().__init__()
        self.disk, self.batches = disk, 0

    def forward(self, x):
        self.batches += 1
        if self.batches == 5:
            with (self.disk / "other").open("wb", buffering=0) as other:
                try:
                    while True:
                        other.write(bytes(4096))
                except OSError:
                    pass
        return x


def main(disk):
    data = labelled_images(400, side=16)
    prefix = FrozenPrefix(Filling(disk))
    recipe = recipe_for(prefix, data, views=(), codec="int8", chunk_samples=40)
    store = CacheStore(disk / "caches", min_free_bytes=0)
    try:
        store.get_or_build(recipe, prefix=prefix, data=data)
    except CacheSpaceError as error:
        print(error)
    print([path.name for path in store.folder(recipe.key).glob("*.*") if path.suffix])
    (disk / "other").unlink()
    cache = store.get_or_build(recipe, prefix=prefix, data=data)
    print(len(cache.damaged_chunks()), "damaged")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
