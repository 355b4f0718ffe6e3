import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from frozen_damage import cut_short, flipped, missing
from frozen_samples import chunk_files, contents, read_all, recipe_for, taking

from freezelib.cache import (
    CacheSpaceError,
    CacheStore,
    DamagedChunkError,
    FeatureCache,
    ManifestError,
)
from freezelib.cache.manifest import MANIFEST
from freezelib.codecs.scratch import Scratch


@pytest.fixture
def three(build):
    """Three caches; the first was used again last."""
    folders = [build(codec=codec).folder for codec in ("raw", "f16", "int8")]
    for age, folder in enumerate(folders):
        os.utime(folder, (1000 + age, 1000 + age))
    return tuple(map(FeatureCache.open, (build(codec="raw").folder, *folders[1:])))


def test_entries_come_least_recently_used_first(store, three):
    used_last, first, second = (cache.manifest.key for cache in three)
    assert [cache.manifest.key for cache in store.entries()] == [first, second, used_last]


def test_collect_deletes_whole_caches_least_recently_used_first(store, three):
    used_last, first, second = three
    budget = used_last.manifest.cache_bytes + second.manifest.cache_bytes
    assert store.collect(max_bytes=budget) == [first.manifest.key]
    assert {path.name for path in first.folder.iterdir()} == {".lock", ".readers"}
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


def test_a_cache_is_not_deleted_while_it_is_read(store, build):
    reader = build()
    assert store.collect(max_bytes=0) == []
    assert read_all(reader)[0].isfinite().all()
    del reader
    assert len(store.collect(max_bytes=0)) == 1


def test_a_reader_in_another_process_counts_and_its_death_ends_it(store, build, tmp_path):
    folder = build().folder
    held = tmp_path / "held"
    code = (
        "import sys, time, pathlib; from freezelib.cache.lease import ReadLease;"
        "lease = ReadLease(pathlib.Path(sys.argv[1])); pathlib.Path(sys.argv[2]).touch();"
        "time.sleep(600)"
    )
    reader = subprocess.Popen([sys.executable, "-c", code, str(folder), str(held)])
    try:
        while not held.exists():
            assert reader.poll() is None
        assert store.collect(max_bytes=0) == []
    finally:
        reader.kill()
        reader.wait()
    assert len(store.collect(max_bytes=0)) == 1


def test_a_mapped_chunk_outlives_its_file(build):
    cache = build()
    window = cache.window([0])
    before, after = (torch.empty(4, *cache.sample_shape) for _ in range(2))
    window.read_into(np.arange(4), taking(4), before, Scratch())
    chunk_files(cache)[0].unlink()
    window.read_into(np.arange(4), taking(4), after, Scratch())
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


# Room.


def test_a_budget_makes_the_least_recently_used_go(tmp_path, prefix, data):
    store = CacheStore(tmp_path, max_bytes=10**9)
    sizes = {}
    for age, codec in enumerate(("int8", "int4", "f16")):
        recipe = recipe_for(prefix, data, codec=codec)
        cache = store.get_or_build(recipe, prefix=prefix, data=data)
        sizes[codec] = cache.manifest.cache_bytes
        os.utime(cache.folder, (1000 + age, 1000 + age))
    del cache
    tight = CacheStore(tmp_path, max_bytes=sizes["f16"] + sizes["int4"] + sizes["int8"] // 2)
    recipe = recipe_for(prefix, data, codec="int8", order_seed=1)
    tight.get_or_build(recipe, prefix=prefix, data=data)
    left = {(c.recipe.codec, c.recipe.order_seed) for c in tight.entries()}
    assert left == {("f16", 0), ("int8", 1)}


def test_a_cache_that_cannot_fit_is_refused_and_leaves_nothing(tmp_path, prefix, data):
    store = CacheStore(tmp_path, max_bytes=1000)
    recipe = recipe_for(prefix, data)
    with pytest.raises(CacheSpaceError, match=r"budget of 1,000 B.*freezo cache plan"):
        store.get_or_build(recipe, prefix=prefix, data=data)
    assert list(store.folder(recipe.key).glob("*.arrow")) == []


def test_the_disk_keeps_its_floor(tmp_path, prefix, data):
    store = CacheStore(tmp_path, min_free_bytes=2**60)
    with pytest.raises(CacheSpaceError, match="of the disk free"):
        store.get_or_build(recipe_for(prefix, data), prefix=prefix, data=data)


def test_what_is_read_does_not_make_room(tmp_path, prefix, data):
    store = CacheStore(tmp_path / "caches")
    reader = store.get_or_build(recipe_for(prefix, data), prefix=prefix, data=data)
    tight = CacheStore(tmp_path / "caches", max_bytes=reader.manifest.cache_bytes + 10)
    with pytest.raises(CacheSpaceError):
        tight.get_or_build(recipe_for(prefix, data, order_seed=1), prefix=prefix, data=data)
    assert reader.damaged_chunks() == []


def test_a_full_disk_in_mid_build_is_named_and_leaves_nothing(tmp_path):
    """On a small file system of its own, which another program fills while the build runs."""
    script = Path(__file__).with_name("frozen_full_disk.py")
    mounted = (
        f"mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} {script} {tmp_path}"
    )
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", mounted], capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    said, left, built_after = done.stdout.splitlines()
    assert "the disk is full" in said
    assert left == "[]"
    assert built_after == "0 damaged"


# Two planes.


def test_a_step_down_frees_half_and_reads_as_int4_without_a_build(store, build):
    four = build(codec="int4")
    exact = [read_all(four, view)[0] for view in (0, 1)]
    eight = build(codec="int8p")
    size, key = eight.manifest.cache_bytes, eight.manifest.key
    assert not torch.equal(read_all(eight)[0], exact[0])
    builds = len(store.builds())
    freed = store.step_down(key)
    stepped = build(codec="int8p")
    assert len(store.builds()) == builds
    assert stepped.manifest.cache_bytes == size - freed
    assert stepped.manifest.nrmse == pytest.approx(four.manifest.nrmse, rel=1e-6)
    assert 0.4 < freed / size < 0.5
    for view in (0, 1):
        assert torch.equal(read_all(stepped, view)[0], exact[view])
    assert store.verify() == []


def test_a_chunk_that_is_mended_after_a_step_down_stays_small(store, build):
    cache = build(codec="int8p")
    store.step_down(cache.manifest.key)
    stepped = build(codec="int8p")
    before = read_all(stepped)[0]
    flipped(chunk_files(stepped)[0], None)
    again = build(codec="int8p")
    assert torch.equal(read_all(again)[0], before)
    assert not list(again.folder.glob("*.spare.arrow"))


def test_a_cache_without_two_planes_cannot_step_down(store, cache):
    with pytest.raises(ValueError, match="build with int8p"):
        store.step_down(cache.manifest.key)
