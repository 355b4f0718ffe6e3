import io
import multiprocessing
from dataclasses import replace

import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
import torch
from frozen_damage import flipped
from frozen_racer import race
from frozen_samples import (
    CHUNK_SAMPLES,
    NUM_CHUNKS,
    SAMPLES,
    chunk_files,
    contents,
    frozen_prefix,
    halves,
    read_all,
    read_rows,
    recipe_for,
    taking,
)
from frozen_samples import labelled_images as images_of
from torch import nn

from freezelib.augment import Augmentation, get_view, select_channels
from freezelib.cache import (
    CacheStore,
    FeatureCache,
    ManifestError,
)
from freezelib.cache.build import CacheBuilder
from freezelib.cache.chunk import BASE, deserialise, from_table
from freezelib.cache.journal import JOURNAL
from freezelib.cache.manifest import MANIFEST
from freezelib.cache.maps import AdvancedMaps
from freezelib.codecs import get_codec
from freezelib.codecs.scratch import Scratch
from freezelib.cuts import find_cuts, split
from freezelib.frozen import FrozenPrefix
from freezelib.hashing import permutation


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
    rows, views = np.array([5, 0, 3, 3]), np.array([0, 1, 2, 0])
    out = read_rows(cache, 1, rows, view=views)
    for place, (row, view) in enumerate(zip(rows, views, strict=True)):
        assert torch.equal(out[place], read_rows(cache, 1, [row], view=view)[0])


def test_a_window_of_chunks_reads_as_its_chunks_do(build):
    cache = build(codec="int8", views=("hflip",))
    window = cache.window([2, 0, 3])
    rows = np.arange(len(window.labels))[::-1]
    out = torch.empty(len(rows), *cache.sample_shape)
    window.read_into(rows, taking(len(rows), view=rows % 2), out, Scratch())
    expected = {view: read_all(cache, view)[0] for view in (0, 1)}
    for place, row in enumerate(rows):
        assert torch.equal(out[place], expected[row % 2][window.sample_ids[row]])


def test_the_manifest_says_which_channels_are_sensitive_and_why(build, prefix, data):
    cache = build(score_samples=SAMPLES)
    expected = select_channels(
        prefix,
        [data.read(slice(None))],
        get_view("hflip"),
        scorer="corr",
        threshold=0.9,
        max_fraction=0.25,
        correct=False,
        channel_gain=None,
        seed=0,
    )
    assert cache.manifest.similarity["hflip"] == pytest.approx(expected.scores, abs=1e-6)
    assert cache.manifest.sensitive["hflip"] == expected.channels


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
    ids = sound.window(range(NUM_CHUNKS)).sample_ids
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
    stops.left = 1  # what was finished is not made again
    assert store.get_or_build(recipe, prefix=prefix, data=data).damaged_chunks() == []
    assert len(store.builds()) == 1


def test_a_build_that_goes_on_makes_the_same_cache(store, tmp_path, data):
    stops = Stops(after=2)
    prefix = FrozenPrefix(stops)
    recipe = recipe_for(prefix, data, views=())
    with pytest.raises(KeyboardInterrupt):
        store.get_or_build(recipe, prefix=prefix, data=data)
    chunk = store.folder(recipe.key) / "chunk-00001.arrow"
    flipped(chunk, None)  # a chunk that is not what was noted is made again
    stops.left = 1000
    resumed = store.get_or_build(recipe, prefix=prefix, data=data)
    whole = CacheStore(tmp_path / "whole").get_or_build(recipe, prefix=prefix, data=data)
    assert contents(resumed) == contents(whole)
    assert resumed.manifest.nrmse == whole.manifest.nrmse
    assert not (resumed.folder / JOURNAL).exists()


@pytest.mark.parametrize("cut", [1, 30, -1, -40])
def test_a_journal_that_a_crash_cut_short_is_read_as_far_as_it_goes(store, data, cut):
    prefix = FrozenPrefix(stops := Stops(after=3))
    recipe = recipe_for(prefix, data, views=())
    with pytest.raises(KeyboardInterrupt):
        store.get_or_build(recipe, prefix=prefix, data=data)
    path = store.folder(recipe.key) / JOURNAL
    path.write_bytes(path.read_bytes()[:cut])
    stops.left = 1000
    assert store.get_or_build(recipe, prefix=prefix, data=data).damaged_chunks() == []


def test_no_temporary_file_is_left_behind(sound):
    assert {path.name for path in sound.folder.iterdir()} - {".lock", ".readers"} == {
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


RACERS = 8


@pytest.mark.slow
def test_processes_that_race_build_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(RACERS), spawn.Queue()
    racers = [
        spawn.Process(target=race, args=(str(tmp_path), barrier, found), daemon=True)
        for _ in range(RACERS)
    ]
    for racer in racers:
        racer.start()
    answers = [found.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(30)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    assert all(answer == answers[0] for answer in answers)
    assert len(CacheStore(tmp_path).builds()) == 1
    assert CacheStore(tmp_path).verify() == []


@pytest.mark.parametrize("codec", ["raw", "int8", "int8+lz4", "f16+lz4"])
def test_any_arrow_reader_opens_a_chunk_as_one_record_batch(build, codec):
    cache = build(codec=codec)
    for number, path in enumerate(chunk_files(cache)):
        with pa.ipc.open_file(io.BytesIO(path.read_bytes())) as reader:
            assert reader.num_record_batches == 1
            batch = reader.get_batch(0)
        chunk = from_table(cache.read_verified(number))
        assert batch.column("sample_id").to_pylist() == chunk.sample_ids.tolist()
        assert batch.column("label").to_pylist() == chunk.labels.tolist()
        name = "base.codes" if "int" in codec else "base.values"
        plane = chunk.planes[BASE][name.removeprefix("base.")]
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
    codes = from_table(plain.read_verified(0)).planes[BASE]["codes"].numpy().tobytes()
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
    held = [cache.window([number]) for number in range(cache.num_chunks)]
    assert pa.total_allocated_bytes() - before < 0.05 * cache.manifest.cache_bytes
    del held


def test_verifying_again_notices_what_was_damaged_since_the_first_touch(cache):
    cache.read_verified(0)
    first = chunk_files(cache)[0]
    flipped(first, None)
    assert [error.path for error in cache.damaged_chunks()] == [first]


# Stored views, correctors, and caches made of caches.


def test_stored_views_are_maps_of_augmented_images(build, prefix, data):
    cache = build(codec="raw", stored_views=3, shift_pixels=2, view_probability=1.0)
    canonical = prefix(data.read(slice(None)))
    torch.testing.assert_close(read_all(cache, copy=0)[0], canonical)
    augmentation = Augmentation(views=("hflip",), view_probability=1.0, shift_pixels=2)
    for copy in (1, 2):
        draws = augmentation.draw(seed=0, epoch=-copy, sample_ids=np.arange(SAMPLES))
        images = augmentation.apply_to_images(data.read(slice(None)), draws)
        torch.testing.assert_close(read_all(cache, copy=copy)[0], prefix(images))
    assert not torch.allclose(read_all(cache, copy=1)[0], read_all(cache, copy=2)[0])


def test_each_sample_of_a_read_takes_its_own_stored_view(build):
    cache = build(codec="int8", stored_views=2)
    window = cache.window([1, 0])
    rows, copies = np.array([3, 20, 3, 9]), np.array([1, 0, 0, 1])
    out = torch.empty(4, *cache.sample_shape)
    draws = taking(4)
    window.read_into(rows, replace(draws, copies=copies), out, Scratch())
    for place, (row, copy) in enumerate(zip(rows, copies, strict=True)):
        expected = read_all(cache, copy=copy)[0][window.sample_ids[row]]
        assert torch.equal(out[place], expected)


def test_a_corrector_brings_the_counterpart_closer(build, prefix, data):
    exact = prefix(get_view("hflip").apply(data.read(slice(None))))
    error = {}
    for correct in (False, True):
        cache = build(codec="raw", correct=correct, scorer="none", score_samples=SAMPLES)
        error[correct] = float((read_all(cache, view=1)[0] - exact).norm() / exact.norm())
        assert cache.manifest.residual["hflip"] == pytest.approx(error[correct], rel=1e-3)
    assert error[True] < 0.9 * error[False]


def test_a_shift_moves_the_map_by_whole_cells(build):
    cache = build(codec="raw", views=())
    stride = cache.manifest.image_shape[-1] // cache.sample_shape[-1]
    moved = read_all(cache, shift=(stride, 0))[0]
    still = read_all(cache)[0]
    assert not torch.equal(moved, still)
    assert torch.equal(moved[..., 1:, :], still[..., :-1, :]) or torch.equal(
        moved[..., :-1, :], still[..., 1:, :]
    )


def test_a_cache_made_of_the_one_before_is_the_one_made_of_the_images(tmp_path, data):
    before, shallow = advanced(tmp_path, data, "raw")
    deep = FrozenPrefix(halves(3)[0])
    middle, _ = split(
        shallow, find_cuts(shallow, torch.zeros(2, *before.sample_shape))[0],
        example_input=torch.randn(2, *before.sample_shape),
    )  # fmt: skip
    recipe = recipe_for(deep, data, codec="raw", views=(), advanced_from=before.manifest.key)
    store = CacheStore(tmp_path)
    made = store.get_or_build(
        recipe, prefix=deep, data=data, maps=AdvancedMaps(before, middle, recipe)
    )
    torch.testing.assert_close(read_all(made)[0], deep(data.read(slice(None))))
    with pytest.raises(ValueError, match="views differ"):
        AdvancedMaps(before, middle, replace(recipe, views=("hflip",)))


def advanced(folder, data, codec):
    prefix, suffix = halves(2)
    prefix = FrozenPrefix(prefix)
    recipe = recipe_for(prefix, data, codec=codec, views=())
    return CacheStore(folder).get_or_build(recipe, prefix=prefix, data=data), suffix


@pytest.mark.parametrize("codec", ["int8p+zstd:3", "bf16", "int2+zstd", "int4+lz4"])
def test_every_kind_of_codec_comes_back_from_the_file(build, prefix, data, codec):
    cache = build(codec=codec)
    exact = prefix(data.read(slice(None)))
    kind = get_codec(codec)
    order = torch.from_numpy(permutation(SAMPLES, 0))
    decoded = torch.empty_like(exact)
    for rows in order.split(CHUNK_SAMPLES):
        planes = kind.encode(exact[rows])
        part = torch.empty(len(rows), *cache.sample_shape)
        kind.decode_into(planes, torch.arange(len(rows)), part)
        decoded[rows] = part
    torch.testing.assert_close(read_all(cache)[0], decoded, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("codec", ["raw", "f16", "int8"])
@pytest.mark.parametrize("side", [1, 2, 5, 9, 20])
def test_maps_of_any_size_come_back(tmp_path, codec, side):
    """However few bytes a sample has, and however its planes are gathered."""
    data = images_of(SAMPLES, side=side)
    prefix = FrozenPrefix(nn.Identity())
    recipe = recipe_for(prefix, data, codec=codec, views=())
    cache = CacheStore(tmp_path).get_or_build(recipe, prefix=prefix, data=data)
    window = cache.window(range(NUM_CHUNKS))
    rows = np.arange(len(window.labels))[::3]
    out = torch.full((len(rows), *cache.sample_shape), float("nan"))
    window.read_into(rows, taking(len(rows)), out, Scratch())
    exact = data.read(torch.from_numpy(window.sample_ids[rows]))
    torch.testing.assert_close(out, exact, rtol=1e-3, atol={"int8": 0.05}.get(codec, 1e-6))
