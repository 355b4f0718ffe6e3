import os

import numpy as np
import pytest
import torch
from frozen_damage import cut_short, flipped, missing
from frozen_samples import chunk_files, contents

from freezelib.cache import (
    DamagedChunkError,
    ManifestError,
)
from freezelib.cache.manifest import MANIFEST


@pytest.fixture
def three(build):
    """Three caches; the first was used again last."""
    caches = [build(codec=codec) for codec in ("raw", "f16", "int8")]
    for age, cache in enumerate(caches):
        os.utime(cache.folder, (1000 + age, 1000 + age))
    return build(codec="raw"), *caches[1:]


def test_entries_come_least_recently_used_first(store, three):
    used_last, first, second = (cache.manifest.key for cache in three)
    assert [cache.manifest.key for cache in store.entries()] == [first, second, used_last]


def test_collect_deletes_whole_caches_least_recently_used_first(store, three):
    used_last, first, second = three
    budget = used_last.manifest.cache_bytes + second.manifest.cache_bytes
    assert store.collect(max_bytes=budget) == [first.manifest.key]
    assert [path.name for path in first.folder.iterdir()] == [".lock"]
    assert store.verify() == []
    assert {c.manifest.key for c in store.entries()} == {
        used_last.manifest.key,
        second.manifest.key,
    }


def test_collect_keeps_to_the_budget_and_deletes_no_more_than_it_must(store, three):
    sizes = [cache.manifest.cache_bytes for cache in store.entries()]
    for kept in (3, 2, 1, 0):
        budget = sum(sizes[3 - kept :])
        store.collect(max_bytes=budget)
        assert sum(cache.manifest.cache_bytes for cache in store.entries()) == budget


def test_a_reader_keeps_what_it_has_mapped_when_its_cache_is_deleted(store, three):
    chunk = three[0].chunk(0)
    rows, views = np.arange(4), np.zeros(4, int)
    before, after = (torch.empty(4, *three[0].sample_shape) for _ in range(2))
    chunk.read_into(rows, views, before)
    assert len(store.collect(max_bytes=0)) == 3
    chunk.read_into(rows, views, after)
    assert torch.equal(after, before)


def test_a_deleted_cache_is_built_anew(store, build):
    before = contents(build())
    store.collect(max_bytes=0)
    assert contents(build()) == before


def test_verify_names_everything_that_is_damaged(store, three):
    (first, second), third = chunk_files(three[0])[:2], chunk_files(three[1])[-1]
    flipped(first, None)
    missing(second, None)
    cut_short(third, None)
    (three[2].folder / MANIFEST).write_text("no manifest")
    problems = store.verify()
    assert {p.path for p in problems if isinstance(p, DamagedChunkError)} == {first, second, third}
    (unreadable,) = (p for p in problems if isinstance(p, ManifestError))
    assert str(three[2].folder) in str(unreadable)


def test_an_empty_store_is_in_order(store):
    assert store.verify() == []
    assert store.builds() == []
    assert store.collect(max_bytes=0) == []
