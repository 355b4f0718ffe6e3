import copy
import itertools
import threading

import numpy as np
import pytest
import torch
from frozen_samples import CHUNK_SAMPLES, SAMPLES, chunk_files, halves, recipe_for
from frozen_samples import labelled_images as images_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from freezelib.augment import Augmentation
from freezelib.cache import CacheStore, DamagedChunkError, FeatureCache
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet
from freezelib.loader import CacheLoader, FrozenImages, ImageChunks

epochs = st.integers(0, 50)
seeds = st.integers(0, 2**32)


def numbered(num_samples):
    """Images that say in their pixels, and in their label, which they are."""
    ids = torch.arange(num_samples)
    pixels = torch.stack([ids % 256, ids // 256], 1).byte().view(-1, 2, 1, 1)
    return ImageSet(images=pixels, labels=ids, mean=(0.0, 0.0), std=(1 / 255,) * 2, num_classes=2)


def chunked(data, chunk_samples):
    return ImageChunks(data, chunk_samples=chunk_samples)


def loader(num_samples=100, chunk_samples=16, batch_size=10, seed=0, **options):
    source = chunked(numbered(num_samples), chunk_samples)
    return CacheLoader(source, batch_size=batch_size, seed=seed, **options)


def viewing(*views, probability=0.5):
    return Augmentation(views=views, view_probability=probability)


def order(loader, epoch):
    return [labels.tolist() for _, labels in loader.epoch(epoch)]


def kept(loader, epoch):
    return [(inputs.clone(), labels.clone()) for inputs, labels in loader.epoch(epoch)]


def same_batches(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, b)
        for pair in zip(left, right, strict=True)
        for a, b in zip(*pair, strict=True)
    )


# The order of an epoch.


@settings(max_examples=60)
@given(
    num_samples=st.integers(1, 120),
    chunk_samples=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    window=st.integers(1, 9),
    seed=seeds,
    epoch=epochs,
)
def test_every_sample_comes_once_but_for_the_remainder(
    num_samples, chunk_samples, batch_size, window, seed, epoch
):
    batches = order(loader(num_samples, chunk_samples, batch_size, seed, window=window), epoch)
    seen = list(itertools.chain(*batches))
    assert len(set(seen)) == len(seen)
    if num_samples < batch_size:
        assert sorted(seen) == list(range(num_samples)), "a small data set is one small batch"
    else:
        assert {len(batch) for batch in batches} == {batch_size}
        assert len(seen) == num_samples - num_samples % batch_size


@settings(max_examples=20)
@given(batch_size=st.sampled_from([1, 4, 24, 48, 96]), window=st.integers(1, 8), seed=seeds)
def test_inputs_belong_to_their_labels(batch_size, window, seed):
    for inputs, labels in loader(96, 7, batch_size, seed, window=window).epoch(3):
        assert inputs.shape == (batch_size, 2, 1, 1)
        assert torch.equal((inputs[:, 0] + 256 * inputs[:, 1]).flatten().round().long(), labels)


@settings(max_examples=20)
@given(seed=seeds, epoch=epochs)
def test_the_order_is_a_function_of_seed_and_epoch(seed, epoch):
    used = loader(seed=seed)
    order(used, epoch + 1)
    next(used.epoch(epoch + 2))
    assert order(used, epoch) == order(loader(seed=seed), epoch)


@settings(max_examples=20)
@given(seed=seeds, epoch=epochs)
def test_other_epochs_and_seeds_have_other_orders(seed, epoch):
    orders = [
        order(loader(seed=s), e) for s, e in [(seed, epoch), (seed, epoch + 1), (seed + 1, epoch)]
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_samples_of_one_batch_part_in_the_next_epoch():
    """Samples are shuffled in their window, not only chunks: else batch-mates meet every time."""

    def mates(epoch):
        batches = order(loader(num_samples=320, chunk_samples=40, batch_size=40), epoch)
        return {pair for batch in batches for pair in itertools.combinations(sorted(batch), 2)}

    by_chance = 39 / 319
    assert len(mates(0) & mates(1)) / len(mates(0)) == pytest.approx(by_chance, rel=0.2)


def test_two_epochs_may_be_read_side_by_side():
    both = loader()
    pairs = zip(kept(both, 0), kept(both, 1), strict=True)
    for (ours, theirs), first, second in zip(pairs, both.epoch(0), both.epoch(1), strict=True):
        assert torch.equal(first[0], ours[0])
        assert torch.equal(second[0], theirs[0])


def test_the_global_random_state_neither_matters_nor_moves():
    expected = order(loader(), 0)
    torch.manual_seed(99)
    np.random.seed(99)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert order(loader(), 0) == expected
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"window": 0}, {"prefetch": -1}, {"rank": 1}, {"rank": -1}],
)
def test_a_loader_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        loader(**wrong)


# Label statistics.


class UnpermutedChunks(ImageChunks):
    """What a store looks like whose samples were dealt to chunks as they came."""

    def __init__(self, data, *, chunk_samples):
        super().__init__(data, chunk_samples=chunk_samples)
        self._rows = np.split(np.arange(len(data)), len(data) // chunk_samples)


def label_variance_over_iid(source, *, window, batch_size=64, num_classes=10):
    shares = []
    for epoch in range(4):
        for _, labels in CacheLoader(source, batch_size=batch_size, seed=5, window=window).epoch(
            epoch
        ):
            shares.append(np.bincount(labels, minlength=num_classes) / batch_size)
    p = np.mean(shares, 0)
    return (np.var(shares, 0) / (p * (1 - p) / batch_size)).mean()


@pytest.fixture(scope="module")
def class_sorted():
    return images_of(5120, num_classes=10, side=1, class_sorted=True)


@pytest.mark.parametrize("window", [1, 4, 8])
def test_batches_of_class_sorted_data_have_the_label_statistics_of_iid_ones(class_sorted, window):
    assert 0.8 < label_variance_over_iid(chunked(class_sorted, 128), window=window) < 1.25


@pytest.mark.parametrize(("window", "at_least"), [(1, 30), (4, 5), (8, 3)])
def test_without_the_permutation_at_build_they_would_not(class_sorted, window, at_least):
    """The statistic above has the power to tell."""
    source = UnpermutedChunks(class_sorted, chunk_samples=128)
    assert label_variance_over_iid(source, window=window) > at_least


# Views.


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_the_share_of_samples_under_a_view_is_the_one_asked_for(probability):
    data = images_of(2000, side=2)
    batches = CacheLoader(
        chunked(data, 100),
        batch_size=100,
        seed=1,
        augmentation=viewing("hflip", probability=probability),
    ).epoch(0)
    plain = {image.numpy().tobytes() for image in data.read(slice(None))}
    seen = [image.numpy().tobytes() in plain for inputs, _ in batches for image in inputs]
    assert 1 - np.mean(seen) == pytest.approx(probability, abs=0.05)


@settings(max_examples=15)
@given(chunk_samples=st.integers(3, 60), batch_size=st.sampled_from([5, 12, 30]), seed=seeds)
def test_the_view_of_a_sample_does_not_depend_on_chunks_or_batches(
    chunk_samples, batch_size, seed
):
    def by_sample(chunk_samples, batch_size):
        data = images_of(60, side=3)
        data.labels.copy_(torch.arange(60))
        source = chunked(data, chunk_samples)
        both = viewing("hflip", "vflip")
        batches = kept(CacheLoader(source, batch_size=batch_size, seed=seed, augmentation=both), 2)
        inputs, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        return inputs[labels.argsort()]

    assert torch.equal(by_sample(chunk_samples, batch_size), by_sample(60, 60))


def test_another_epoch_gives_a_sample_another_view():
    source = chunked(images_of(60, side=3), 60)
    reader = CacheLoader(source, batch_size=60, seed=0, augmentation=viewing("hflip"))
    batches = [kept(reader, epoch)[0][0].sum((1, 2)) for epoch in (0, 1)]
    left = {row.numpy().tobytes() for row in batches[0]}
    moved = sum(row.numpy().tobytes() not in left for row in batches[1])
    assert 15 < moved < 45


# A feature cache against the images.


@pytest.mark.parametrize("batch_size", [7, 25])
def test_a_cache_and_the_images_have_one_order(cache, data, batch_size):
    images = chunked(data, CHUNK_SAMPLES)
    flips = {"batch_size": batch_size, "seed": 3, "augmentation": viewing("hflip")}
    for epoch in range(3):
        assert order(CacheLoader(cache, **flips), epoch) == order(
            CacheLoader(images, **flips), epoch
        )
    assert cache.chunk_sizes == images.chunk_sizes


def test_the_chunk_size_is_what_both_orders_hang_on(cache, data):
    images = chunked(data, CHUNK_SAMPLES + 1)
    flips = {"batch_size": 10, "seed": 3, "augmentation": viewing("hflip")}
    assert order(CacheLoader(cache, **flips), 0) != order(CacheLoader(images, **flips), 0)


@pytest.fixture
def two_view(tmp_path):
    """A frozen prefix, its suffix, and a cache that holds every channel under every view."""
    prefix, suffix = halves()
    prefix, data = FrozenPrefix(prefix), images_of(SAMPLES)

    def cached(**changes):
        exact = {"codec": "raw", "scorer": "all"}
        recipe = recipe_for(prefix, data, **(exact | {"views": VIEWS} | changes))
        return CacheStore(tmp_path).get_or_build(recipe, prefix=prefix, data=data)

    return prefix, suffix, data, cached


VIEWS = ("hflip", "rotate:degrees=10")


def online_frozen(data, prefix):
    return FrozenImages(data, prefix, chunk_samples=CHUNK_SAMPLES)


def trained(suffix, batches):
    """Two epochs of SGD with momentum; the trained copy and its losses."""
    suffix = copy.deepcopy(suffix).train()
    optimizer = torch.optim.SGD(suffix.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    losses = []
    for inputs, labels in batches:
        loss = functional.cross_entropy(suffix(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return suffix, losses


def batches_of(source, *, seed=7):
    reader = CacheLoader(source, batch_size=10, seed=seed, augmentation=viewing(*VIEWS))
    for epoch in range(2):
        yield from reader.epoch(epoch)


def test_training_on_the_cache_is_online_frozen_training_bit_for_bit(two_view):
    """The correctness oracle: view on the image, prefix in eval mode, the same seed."""
    prefix, suffix, data, cached = two_view
    online, losses = trained(suffix, batches_of(online_frozen(data, prefix)))
    offline, cached_losses = trained(suffix, batches_of(cached()))
    assert cached_losses == losses
    for (name, ours), theirs in zip(
        offline.state_dict().items(), online.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    assert not torch.equal(next(offline.parameters()), next(suffix.parameters()))


@pytest.mark.parametrize(
    "change",
    [{"scorer": "corr", "max_fraction": 0.5}, {"codec": "int8"}, {"scorer": "none"}],
    ids=["half", "int8", "none"],
)
def test_the_oracle_notices_what_is_not_exact(two_view, change):
    prefix, suffix, data, cached = two_view
    online, _ = trained(suffix, batches_of(online_frozen(data, prefix)))
    offline, _ = trained(suffix, batches_of(cached(**change)))
    assert any(
        not torch.equal(ours, theirs)
        for ours, theirs in zip(offline.parameters(), online.parameters(), strict=True)
    )


def test_the_oracle_notices_another_seed(two_view):
    _, suffix, _, cached = two_view
    ours, theirs = (trained(suffix, batches_of(cached(), seed=seed))[1] for seed in (7, 8))
    assert ours != theirs


def test_batches_stay_trainable_in_place(cache):
    """Until the next batch they are the caller's: a suffix may begin with an in-place ReLU."""
    reader = CacheLoader(cache, batch_size=10, seed=0, augmentation=viewing("hflip"))
    expected = kept(reader, 0)
    for (inputs, _), (same, _) in zip(reader.epoch(0), expected, strict=True):
        assert torch.equal(inputs, same)
        nn.ReLU(inplace=True)(inputs.sub_(1))
    assert same_batches(kept(reader, 0), expected)


def test_views_that_are_not_cached_are_refused(cache):
    with pytest.raises(ValueError, match="build it with them"):
        CacheLoader(cache, batch_size=10, seed=0, augmentation=viewing("vflip"))


# Threads, resume, ranks.


@settings(max_examples=25, deadline=None)
@given(
    num_samples=st.integers(1, 120),
    chunk_samples=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    window=st.integers(1, 4),
    prefetch=st.integers(0, 3),
    start=st.integers(0, 12),
)
def test_neither_threads_nor_the_place_of_entry_change_a_batch(
    num_samples, chunk_samples, batch_size, window, prefetch, start
):
    common = {"window": window, "seed": 11}
    whole = kept(loader(num_samples, chunk_samples, batch_size, prefetch=0, **common), 4)
    ahead = loader(num_samples, chunk_samples, batch_size, prefetch=prefetch, **common)
    resumed = [(i.clone(), n.clone()) for i, n in ahead.epoch(4, start=start)]
    assert same_batches(resumed, whole[start:])
    assert ahead.num_batches(4) == len(whole)


def test_a_cached_epoch_is_the_same_with_and_without_threads(cache):
    flips = {"batch_size": 10, "seed": 3, "augmentation": viewing("hflip"), "window": 1}
    alone, ahead = (kept(CacheLoader(cache, prefetch=n, **flips), 1) for n in (0, 2))
    assert same_batches(alone, ahead)


def test_a_consumer_that_stops_early_leaves_no_thread_behind(cache):
    before = threading.active_count()
    batches = CacheLoader(cache, batch_size=5, seed=0, augmentation=viewing("hflip")).epoch(0)
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_what_fails_in_the_thread_is_raised_to_the_consumer(cache):
    reader = FeatureCache.open(cache.folder)
    for path in chunk_files(cache):
        path.unlink()
    batches = CacheLoader(reader, batch_size=5, seed=0, augmentation=viewing("hflip")).epoch(0)
    with pytest.raises(DamagedChunkError, match="cannot be read"):
        list(batches)


@settings(max_examples=30)
@given(
    world_size=st.integers(1, 4),
    chunk_samples=st.integers(1, 15),
    batch_size=st.integers(1, 8),
    epoch=epochs,
)
def test_ranks_share_an_epoch_without_a_sample_in_common(
    world_size, chunk_samples, batch_size, epoch
):
    ranks = [
        order(loader(200, chunk_samples, batch_size, rank=r, world_size=world_size), epoch)
        for r in range(world_size)
    ]
    seen = [sample for batches in ranks for batch in batches for sample in batch]
    assert len(seen) == len(set(seen))
    assert {len(batches) for batches in ranks} == {len(ranks[0])}
    # A rank may have a chunk less than another, and the short one of them.
    lost_per_rank = batch_size + 2 * chunk_samples
    assert len(seen) > 200 - world_size * lost_per_rank


def test_a_rank_without_a_batch_is_refused():
    with pytest.raises(ValueError, match="must have at least one batch"):
        loader(20, 16, 10, rank=0, world_size=2).num_batches(0)
