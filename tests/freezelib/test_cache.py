import contextlib
import io
import json
import multiprocessing
import os
import pickle
import shutil
from dataclasses import fields, replace

import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
import torch
from frozen_racer import race
from frozen_samples import CHUNK_SAMPLES, NUM_CHUNKS, SAMPLES, frozen_prefix, halves, recipe_for
from frozen_samples import labelled_images as images_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.augment import get_view, score_channels, sensitive_channels
from freezelib.cache import (
    CacheRecipe,
    CacheStore,
    DamagedChunkError,
    FeatureCache,
    ManifestError,
)
from freezelib.cache.build import CacheBuilder
from freezelib.cache.chunk import BASE, deserialise, from_table
from freezelib.cache.manifest import MANIFEST, Manifest
from freezelib.frozen import FrozenPrefix

RECIPE = CacheRecipe(prefix_digest="p" * 64, data_fingerprint="d" * 32)
OTHER = {
    "prefix_digest": "q" * 64,
    "data_fingerprint": "e" * 32,
    "codec": "int4+lz4",
    "views": ("hflip",),
    "similarity_threshold": 0.8,
    "max_fraction": 0.5,
    "score_samples": 100,
    "chunk_samples": 100,
    "order_seed": 1,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory, prefix, data):
    """A cache that tests read, or copy before they damage it."""
    store = CacheStore(tmp_path_factory.mktemp("sound"))
    return store.get_or_build(recipe_for(prefix, data), prefix=prefix, data=data)


@pytest.fixture
def build(store, prefix, data):
    def get_or_build(**changes):
        return store.get_or_build(recipe_for(prefix, data, **changes), prefix=prefix, data=data)

    return get_or_build


def chunk_files(cache):
    return [cache.folder / entry.file for entry in cache.manifest.chunks]


def contents(cache):
    return {path.name: path.read_bytes() for path in chunk_files(cache)}


def read_all(cache, view=0):
    """Every sample's map under one view, in the order of the sample ids."""
    maps = torch.full((SAMPLES, *cache.sample_shape), float("nan"))
    labels = torch.full((SAMPLES,), -1)
    for number in range(cache.num_chunks):
        chunk = cache.chunk(number)
        rows = np.arange(len(chunk.labels))
        out = torch.empty(len(rows), *cache.sample_shape)
        chunk.read_into(rows, np.full(len(rows), view), out)
        maps[torch.from_numpy(chunk.sample_ids.copy())] = out
        labels[torch.from_numpy(chunk.sample_ids.copy())] = chunk.labels
    return maps, labels


# Content addressing.


@pytest.mark.parametrize("field", [field.name for field in fields(CacheRecipe)])
def test_every_field_of_the_recipe_changes_the_key(field):
    assert replace(RECIPE, **{field: OTHER[field]}).key != RECIPE.key


def test_the_key_is_pinned():
    """If this fails on purpose, raise FORMAT_VERSION: every cache on disk has lost its name."""
    assert RECIPE.key == "561303231366c611e89c8fdb72aba93d65e49114"


def test_the_order_of_views_is_part_of_the_key():
    assert (
        replace(RECIPE, views=("hflip", "vflip")).key
        != replace(RECIPE, views=("vflip", "hflip")).key
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [({"max_fraction": 1}, {"max_fraction": 1.0}), ({"codec": "raw"}, {"codec": "raw+none"})],
)
def test_two_spellings_of_one_recipe_share_a_key(ours, theirs):
    assert replace(RECIPE, **ours).key == replace(RECIPE, **theirs).key


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "int9"},
        {"similarity_threshold": 1.02},
        {"similarity_threshold": float("nan")},
        {"max_fraction": -0.1},
        {"max_fraction": 1.1},
        {"chunk_samples": 0},
        {"score_samples": 0},
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValueError, match=r"but got|Unknown"):
        replace(RECIPE, **change)


# Building.


def test_a_cache_holds_what_the_prefix_makes_of_the_data(build, prefix, data):
    maps, labels = read_all(build(codec="raw"))
    torch.testing.assert_close(maps, prefix(data.read(slice(None))))
    assert torch.equal(labels, data.labels)


def test_a_view_is_exact_on_its_sensitive_channels_and_the_counterpart_elsewhere(
    build, prefix, data
):
    cache = build(codec="raw", similarity_threshold=1.01, max_fraction=0.5)
    sensitive = cache.manifest.sensitive["hflip"]
    other = [c for c in range(cache.sample_shape[0]) if c not in sensitive]
    seen, _ = read_all(cache, view=1)
    images, hflip = data.read(slice(None)), get_view("hflip").apply
    assert len(sensitive) == cache.sample_shape[0] // 2
    torch.testing.assert_close(seen[:, sensitive], prefix(hflip(images))[:, sensitive])
    torch.testing.assert_close(seen[:, other], hflip(prefix(images))[:, other])
    assert not torch.allclose(seen, prefix(hflip(images)), atol=1e-3)


def test_samples_of_one_read_take_their_own_views(build):
    cache = build(codec="raw", views=("hflip", "vflip"))
    chunk, rows = cache.chunk(1), np.array([5, 0, 3, 3])
    views, out = np.array([0, 1, 2, 0]), torch.empty(4, *cache.sample_shape)
    chunk.read_into(rows, views, out)
    for place, (row, view) in enumerate(zip(rows, views, strict=True)):
        alone = torch.empty(1, *cache.sample_shape)
        chunk.read_into(np.array([row]), np.array([view]), alone)
        assert torch.equal(out[place], alone[0])


def test_the_manifest_says_which_channels_are_sensitive_and_why(build, prefix, data):
    cache = build(score_samples=SAMPLES)
    scores = score_channels(prefix, [data.read(slice(None))], get_view("hflip"))
    assert cache.manifest.similarity["hflip"] == pytest.approx(scores.tolist(), abs=1e-6)
    assert cache.manifest.sensitive["hflip"] == sensitive_channels(
        scores, threshold=0.9, max_fraction=0.25
    )


def test_building_twice_gives_the_same_bytes(tmp_path, prefix, data):
    caches = [
        CacheStore(tmp_path / name).get_or_build(recipe_for(p, d), prefix=p, data=d)
        for name, p, d in [("a", prefix, data), ("b", frozen_prefix(), images_of(SAMPLES))]
    ]
    assert contents(caches[0]) == contents(caches[1])
    assert caches[0].manifest.chunks == caches[1].manifest.chunks


@pytest.mark.parametrize("codec", ["raw", "f16", "int8+lz4", "int4+lz4"])
def test_the_manifest_tells_the_error_of_the_codec(build, prefix, data, codec):
    cache = build(codec=codec)
    exact = prefix(data.read(slice(None))).double()
    error = (read_all(cache)[0].double() - exact).square().mean()
    spread = exact.square().mean() - exact.mean() ** 2
    assert cache.manifest.nrmse == pytest.approx(
        float((error / spread).sqrt()), rel=1e-3, abs=1e-6
    )


def test_the_manifest_counts_samples_and_bytes(sound):
    assert sound.manifest.num_samples == SAMPLES
    assert sound.manifest.cache_bytes == sum(p.stat().st_size for p in chunk_files(sound))
    assert [c.rows for c in sound.manifest.chunks] == [*[CHUNK_SAMPLES] * (NUM_CHUNKS - 1), 2]


def test_every_sample_lies_in_one_chunk(sound):
    ids = np.concatenate([sound.chunk(n).sample_ids for n in range(NUM_CHUNKS)])
    assert sorted(ids) == list(range(SAMPLES))
    assert list(ids) != list(range(SAMPLES))


def test_another_prefix_or_other_data_than_the_recipe_says_is_refused(recipe, prefix, data):
    for wrong in (
        {"prefix": FrozenPrefix(halves(1)[0]), "data": data},
        {"prefix": prefix, "data": images_of(SAMPLES + 1)},
    ):
        with pytest.raises(ValueError, match="must be of the prefix and the data"):
            CacheBuilder(recipe, **wrong)


def test_a_prefix_that_changes_while_it_is_cached_is_noticed(store, data):
    prefix = FrozenPrefix(nn.Sequential(Drifts(), nn.Conv2d(3, 4, 3)))
    recipe = recipe_for(prefix, data, views=())
    with pytest.raises(RuntimeError, match="must not change"):
        store.get_or_build(recipe, prefix=prefix, data=data)
    assert list(store.entries()) == []


class Drifts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += len(x)
        return x


class Stops(nn.Module):
    """A prefix whose process dies after some batches, as far as the folder can tell."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def forward(self, x):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return x[:, :, ::2, ::2]


def test_the_manifest_is_committed_last_and_a_stopped_build_is_no_cache(store, data):
    stops = Stops(after=NUM_CHUNKS - 1)
    prefix = FrozenPrefix(stops)
    recipe = recipe_for(prefix, data, views=())
    with pytest.raises(KeyboardInterrupt):
        store.get_or_build(recipe, prefix=prefix, data=data)
    folder = store.folder(recipe.key)
    assert len(list(folder.glob("chunk-*.arrow"))) == NUM_CHUNKS - 1
    with pytest.raises(ManifestError, match="no cache was committed"):
        FeatureCache.open(folder)
    assert list(store.entries()) == []
    stops.left = 1000
    assert store.get_or_build(recipe, prefix=prefix, data=data).damaged_chunks() == []
    assert len(store.builds()) == 1


def test_no_temporary_file_is_left_behind(sound):
    assert {path.name for path in sound.folder.iterdir()} - {".lock"} == {
        MANIFEST,
        *contents(sound),
    }


def test_a_cache_is_built_by_the_first_who_asks(store, build):
    first = build()
    written = {path: path.stat().st_mtime_ns for path in chunk_files(first)}
    second = build()
    assert {path: path.stat().st_mtime_ns for path in chunk_files(second)} == written
    assert [b.key for b in store.builds()] == [first.manifest.key]
    build(codec="raw")
    assert len(store.builds()) == 2


@pytest.mark.slow
def test_processes_that_race_build_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(4), spawn.Queue()
    racers = [
        spawn.Process(target=race, args=(str(tmp_path), barrier, found), daemon=True)
        for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    answers = [found.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(30)
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert all(answer == answers[0] for answer in answers)
    assert len(CacheStore(tmp_path).builds()) == 1
    assert CacheStore(tmp_path).verify() == []


# Damage.


def damaged_copy(cache, folder):
    shutil.copytree(cache.folder, folder, dirs_exist_ok=True)
    return FeatureCache.open(folder)


@settings(max_examples=150)
@given(
    number=st.integers(0, NUM_CHUNKS - 1),
    at=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_noticed(sound, tmp_path_factory, number, at, bit):
    cache = damaged_copy(sound, tmp_path_factory.getbasetemp() / "flipped")
    path = chunk_files(cache)[number]
    whole = bytearray(path.read_bytes())
    whole[int(at * len(whole))] ^= 1 << bit
    path.write_bytes(whole)
    with pytest.raises(DamagedChunkError, match="xxh3-128") as caught:
        cache.chunk(number)
    assert caught.value.path == path


@settings(max_examples=40)
@given(number=st.integers(0, NUM_CHUNKS - 1), at=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("longer", [False, True])
def test_another_length_is_noticed(sound, tmp_path_factory, longer, number, at):
    cache = damaged_copy(sound, tmp_path_factory.getbasetemp() / "cut")
    path = chunk_files(cache)[number]
    whole = path.read_bytes()
    part = whole[: int(at * len(whole))]
    path.write_bytes(whole + part[:9] + b"\0" if longer else part)
    with pytest.raises(DamagedChunkError, match=f"must have {len(whole)} bytes") as caught:
        cache.chunk(number)
    assert caught.value.path == path


def cut_short(first, _):
    first.write_bytes(first.read_bytes()[:-1])


def emptied(first, _):
    first.write_bytes(b"")


def flipped(first, _):
    first.write_bytes(bytes([first.read_bytes()[0] ^ 1]) + first.read_bytes()[1:])


def missing(first, _):
    first.unlink()


def overwritten_by_another(first, second):
    first.write_bytes(second.read_bytes())


def a_folder(first, _):
    first.unlink()
    first.mkdir()


DAMAGES = [cut_short, emptied, flipped, missing, overwritten_by_another]


@pytest.mark.parametrize("damage", [*DAMAGES, a_folder])
def test_a_damaged_chunk_is_named_and_the_others_stay_readable(cache, damage):
    first, second = chunk_files(cache)[:2]
    damage(first, second)
    reader = FeatureCache.open(cache.folder)
    assert [error.path for error in reader.damaged_chunks()] == [first]
    with pytest.raises(DamagedChunkError, match=str(first)):
        reader.chunk(0)
    assert len(reader.chunk(1).labels) == CHUNK_SAMPLES


def test_swapped_chunks_are_noticed(cache):
    first, second = chunk_files(cache)[:2]
    aside = first.rename(first.with_name("aside"))
    second.rename(first)
    aside.rename(second)
    assert [error.path for error in FeatureCache.open(cache.folder).damaged_chunks()] == [
        first,
        second,
    ]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_made_anew_and_no_other(cache, build, store, damage):
    files = chunk_files(cache)
    before = contents(cache)
    untouched = [path.stat().st_ino for path in files[1:]]
    damage(*files[:2])
    mended = build()
    assert contents(mended) == before
    assert [path.stat().st_ino for path in files[1:]] == untouched
    assert store.verify() == []
    assert len(store.builds()) == 1


def test_a_damaged_chunk_error_survives_the_way_between_processes(cache):
    chunk_files(cache)[0].unlink()
    (error,) = FeatureCache.open(cache.folder).damaged_chunks()
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.path, copied.reason) == (str(error), error.path, error.reason)


@settings(max_examples=150)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_manifest_with_a_flipped_bit_is_refused_or_says_the_same(
    sound, tmp_path_factory, at, bit
):
    folder = tmp_path_factory.getbasetemp() / "manifest"
    folder.mkdir(exist_ok=True)
    whole = bytearray((sound.folder / MANIFEST).read_bytes())
    whole[int(at * len(whole))] ^= 1 << bit
    (folder / MANIFEST).write_bytes(whole)
    with contextlib.suppress(ManifestError):
        assert Manifest.read(folder) == sound.manifest


@pytest.mark.parametrize("text", ["", "\n", "{}", "{}\n{}", "[1]\n{}", '"x"\n{}', "7\n{}", "\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match="rebuild"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version_is_refused(cache, version):
    path = cache.folder / MANIFEST
    header, body = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(header) | {"format_version": version}) + "\n" + body)
    with pytest.raises(ManifestError, match=f"format version must be 1, but is {version}"):
        FeatureCache.open(cache.folder)


@pytest.mark.parametrize("text", [None, "{}", "no json"])
def test_a_cache_without_a_sound_manifest_is_built_anew(cache, build, store, text):
    before, path = contents(cache), cache.folder / MANIFEST
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ManifestError):
        FeatureCache.open(cache.folder)
    assert contents(build()) == before
    assert len(store.builds()) == 2


def test_a_manifest_is_read_as_it_was_written(sound):
    assert Manifest.read(sound.folder) == sound.manifest


# The files.


@pytest.mark.parametrize("codec", ["raw", "int8", "int8+lz4", "f16+lz4"])
def test_any_arrow_reader_opens_a_chunk_as_one_record_batch(build, codec):
    cache = build(codec=codec)
    for number, path in enumerate(chunk_files(cache)):
        with pa.ipc.open_file(io.BytesIO(path.read_bytes())) as reader:
            assert reader.num_record_batches == 1
            batch = reader.get_batch(0)
        chunk = cache.chunk(number)
        assert batch.column("sample_id").to_pylist() == chunk.sample_ids.tolist()
        assert batch.column("label").to_pylist() == chunk.labels.tolist()
        name = "base.codes" if "int" in codec else "base.values"
        plane = chunk._planes[BASE][name.removeprefix("base.")]
        np.testing.assert_array_equal(batch.column(name).to_numpy_ndarray(), plane.numpy())


def sparse_images():
    """Images whose feature maps compress: flat but for a corner."""
    data = images_of(SAMPLES)
    data.images[:, :, 2:, 2:] = 7
    return data


def test_compressed_buffers_are_plain_lz4_frames(store, prefix):
    """Decoded with another LZ4 library than Arrow's own."""
    data = sparse_images()
    plain, packed = (
        store.get_or_build(recipe_for(prefix, data, codec=codec), prefix=prefix, data=data)
        for codec in ("int8", "int8+lz4")
    )
    assert packed.manifest.compressed
    assert packed.manifest.cache_bytes < plain.manifest.cache_bytes
    codes = plain.chunk(0)._planes[BASE]["codes"].numpy().tobytes()
    assert codes in chunk_files(plain)[0].read_bytes()
    whole = chunk_files(packed)[0].read_bytes()
    assert codes not in whole
    assert codes in list(lz4_buffers(whole))


def lz4_buffers(whole):
    magic, at = (0x184D2204).to_bytes(4, "little"), -1
    while (at := whole.find(magic, at + 1)) >= 0:
        size = int.from_bytes(whole[at - 8 : at], "little")
        buffer = lz4.frame.LZ4FrameDecompressor().decompress(whole[at:])
        assert len(buffer) == size
        yield buffer


def test_a_coder_that_gains_too_little_is_left_out(store, data):
    dense = FrozenPrefix(nn.Conv2d(3, 4, 3))  # no zeros, so next to nothing to compress
    plain, packed = (
        store.get_or_build(recipe_for(dense, data, codec=codec), prefix=dense, data=data)
        for codec in ("raw", "raw+lz4")
    )
    assert not packed.manifest.compressed
    assert contents(packed) == contents(plain)


def test_the_coder_changes_no_value(store, prefix):
    data = sparse_images()
    plain, packed = (
        store.get_or_build(recipe_for(prefix, data, codec=codec), prefix=prefix, data=data)
        for codec in ("raw", "raw+lz4")
    )
    assert packed.manifest.compressed
    for view in (0, 1):
        assert torch.equal(read_all(packed, view)[0], read_all(plain, view)[0])


@pytest.mark.parametrize("codec", ["raw", "f16", "int8", "int4"])
def test_an_uncompressed_chunk_is_read_without_a_copy(build, codec):
    cache = build(codec=codec, similarity_threshold=1.01)
    mapped = pa.memory_map(str(chunk_files(cache)[0])).read_buffer()
    chunk = from_table(deserialise(mapped))
    tensors = [chunk.labels, *(t for planes in chunk.planes.values() for t in planes.values())]
    assert chunk.planes.keys() == {"base", "hflip"}
    for tensor in tensors:
        assert mapped.address <= tensor.data_ptr()
        assert tensor.data_ptr() + tensor.nbytes <= mapped.address + mapped.size
    before = pa.total_allocated_bytes()
    held = [cache.chunk(number) for number in range(cache.num_chunks)]
    assert pa.total_allocated_bytes() - before < 0.05 * cache.manifest.cache_bytes
    del held


def test_verifying_again_notices_what_was_damaged_since_the_first_touch(cache):
    cache.chunk(0)
    first = chunk_files(cache)[0]
    flipped(first, None)
    assert [error.path for error in cache.damaged_chunks()] == [first]


# Keeping house.


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
