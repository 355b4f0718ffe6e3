"""A small data set, a small frozen prefix, and the recipe that belongs to both."""

import numpy as np
import torch
from torch import nn

from freezelib.augment import Draws
from freezelib.cache import CacheRecipe
from freezelib.codecs.scratch import Scratch
from freezelib.cuts import find_cuts, split
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet
from freezelib.models import get_model

SAMPLES, CHUNK_SAMPLES, SIDE = 50, 16, 12
NUM_CHUNKS = -(-SAMPLES // CHUNK_SAMPLES)


def labelled_images(num_samples, *, num_classes=5, side=SIDE, class_sorted=False):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (num_samples, 3, side, side), generator=generator)
    labels = torch.randint(0, num_classes, (num_samples,), generator=generator)
    return ImageSet(
        images=images.byte(),
        labels=labels.sort().values if class_sorted else labels,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.25),
        num_classes=num_classes,
    )


def small_resnet():
    torch.manual_seed(3)
    model = get_model("resnet8:width=4", in_channels=3, num_classes=5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training: no two channels alike
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return model


def halves(k=2):
    model, example = small_resnet(), torch.zeros(2, 3, SIDE, SIDE)
    return split(model, find_cuts(model, example)[k - 1], example_input=example)


def frozen_prefix():
    return FrozenPrefix(halves()[0])


def recipe_for(prefix, data, **changes):
    chosen = {"codec": "int8+lz4", "views": ("hflip",), "chunk_samples": CHUNK_SAMPLES}
    return CacheRecipe(
        prefix_digest=prefix.digest, data_fingerprint=data.fingerprint, **(chosen | changes)
    )


def chunk_files(cache):
    return [cache.folder / entry.file for entry in cache.manifest.chunks]


def contents(cache):
    """The bytes of every chunk file, by name."""
    return {path.name: path.read_bytes() for path in chunk_files(cache)}


def taking(num_rows, *, view=0, copy=0, shift=(0, 0)):
    """Every row under one view, from one stored view, with one shift."""
    return Draws(
        copies=np.full(num_rows, copy),
        views=np.broadcast_to(np.asarray(view), num_rows).astype(np.int64),
        shifts=np.tile(np.asarray(shift, np.int64), (num_rows, 1)),
    )


def read_rows(cache, number, rows, **drawn):
    """Some rows of one chunk."""
    out = torch.full((len(rows), *cache.sample_shape), float("nan"))
    window = cache.window([number])
    window.read_into(np.asarray(rows), taking(len(rows), **drawn), out, Scratch())
    return out


def read_all(cache, view=0, **drawn):
    """Every sample's map under one view, in the order of the sample ids."""
    maps = torch.full((SAMPLES, *cache.sample_shape), float("nan"))
    labels = torch.full((SAMPLES,), -1)
    for number in range(cache.num_chunks):
        window = cache.window([number])
        ids = torch.from_numpy(window.sample_ids.copy())
        maps[ids] = read_rows(cache, number, np.arange(len(ids)), view=view, **drawn)
        labels[ids] = window.labels
    return maps, labels
