from dataclasses import replace

import pytest
import torch
from frozen_samples import labelled_images, recipe_for
from torch import nn

from freezelib.augment import Augmentation
from freezelib.cache import CacheStore
from freezelib.frozen import FrozenPrefix
from freezelib.loader import CacheLoader, FrozenImages

SAMPLES, CHUNK_SAMPLES = 40, 16
FLIPS = Augmentation(views=("hflip",))
FULL = Augmentation(views=("hflip",), view_probability=0.7, shift_pixels=4)


class PatchTokens(nn.Module):
    """A class token and nine patches, each with a place of its own: ``[n, 10, 6]``."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.places = nn.Parameter(torch.randn(10, 6))

    def forward(self, x):
        patches = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.places


@pytest.fixture
def tokens():
    return FrozenPrefix(PatchTokens())


@pytest.fixture
def images():
    return labelled_images(SAMPLES)


@pytest.fixture
def cached(tmp_path, tokens, images):
    def get_or_build(**recipe):
        recipe = {"codec": "raw", "views": ("hflip",), "chunk_samples": CHUNK_SAMPLES} | recipe
        of_tokens = recipe_for(tokens, images, **recipe)
        return CacheStore(tmp_path).get_or_build(of_tokens, prefix=tokens, data=images)

    return get_or_build


def epochs(source, augmentation):
    loader = CacheLoader(source, batch_size=10, seed=3, augmentation=augmentation)
    return [inputs.clone() for epoch in range(2) for inputs, _ in loader.epoch(epoch)]


def test_tokens_cached_whole_under_a_view_are_those_of_the_flipped_images(cached, tokens, images):
    online = epochs(FrozenImages(images, tokens, chunk_samples=CHUNK_SAMPLES), FLIPS)
    offline = epochs(cached(scorer="all"), FLIPS)
    assert all(torch.equal(a, b) for a, b in zip(offline, online, strict=True))


def test_tokens_are_neither_shifted_nor_flipped_in_place(cached):
    with pytest.raises(ValueError, match="shift_pixels: tokens carry the place"):
        epochs(cached(scorer="all"), FULL)
    with pytest.raises(ValueError, match=r"cache it whole \(scorer='all'\)"):
        cached(scorer="corr")


def test_under_a_view_that_moves_nothing_tokens_stay_but_for_those_that_are_cached(
    cached, tokens, images
):
    brighter = Augmentation(views=("brightness:by=0.5",), view_probability=1.0)
    cache = cached(views=brighter.views, scorer="random", max_fraction=0.3)
    (sensitive,) = cache.manifest.sensitive.values()
    assert len(sensitive) == 3
    online = epochs(FrozenImages(images, tokens, chunk_samples=CHUNK_SAMPLES), brighter)
    plain = epochs(cache, replace(brighter, view_probability=0.0))
    others = [token for token in range(10) if token not in sensitive]
    for seen, true, base in zip(epochs(cache, brighter), online, plain, strict=True):
        assert torch.equal(seen[:, sensitive], true[:, sensitive])
        assert torch.equal(seen[:, others], base[:, others])


def test_stored_views_of_tokens_can_be_shifted_and_flipped(cached):
    moves = {"view_probability": FULL.view_probability, "shift_pixels": FULL.shift_pixels}
    seen = {
        tuple(sample.flatten().tolist())
        for batch in epochs(cached(stored_views=3, **moves), FULL)
        for sample in batch
    }
    assert SAMPLES < len(seen) <= 3 * SAMPLES


@pytest.mark.parametrize(
    "asked",
    [Augmentation(), FLIPS, Augmentation(views=("hflip",), shift_pixels=2, view_probability=0.7)],
    ids=str,
)
def test_stored_views_serve_the_augmentation_that_they_were_made_with_and_no_other(cached, asked):
    """Another would be dropped in silence, and theirs be done unasked."""
    cache = cached(stored_views=2, view_probability=0.7, shift_pixels=4)
    cache.require(FULL)
    with pytest.raises(ValueError, match="build the cache with them"):
        cache.require(asked)
