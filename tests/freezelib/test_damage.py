import contextlib
import json
import pickle
import shutil
from random import Random

import pytest
import torch
from frozen_damage import cut_short, emptied, flipped, missing, overwritten_by_another
from frozen_samples import (
    CHUNK_SAMPLES,
    NUM_CHUNKS,
    chunk_files,
    contents,
    read_all,
    recipe_for,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from freezelib.cache import (
    CacheError,
    CacheStore,
    DamagedChunkError,
    FeatureCache,
    ManifestError,
)
from freezelib.cache.manifest import MANIFEST, Manifest


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
        cache.read_verified(number)
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
        cache.read_verified(number)
    assert caught.value.path == path


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
        reader.read_verified(0)
    assert reader.read_verified(1).num_rows == CHUNK_SAMPLES


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
    expected = read_all(cache)[0]
    damage(*files[:2])
    mended = build()
    assert torch.equal(read_all(mended)[0], expected)
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


@pytest.mark.parametrize("version", [0, 1, "1", None])
def test_another_format_version_is_refused(cache, version):
    path = cache.folder / MANIFEST
    header, body = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(header) | {"format_version": version}) + "\n" + body)
    with pytest.raises(ManifestError, match=f"format version must be 2, but is {version}"):
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


# A thousand corruptions.


def corrupted(random, whole, others):
    """A file's bytes after one of the things that happen to files."""
    at = random.randrange(len(whole)) if whole else 0
    upto = min(len(whole), at + random.randrange(1, 600))
    return random.choice(
        [
            lambda: whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :],
            lambda: whole[:at],
            lambda: whole + random.randbytes(upto - at),
            lambda: whole[:at] + bytes(upto - at) + whole[upto:],
            lambda: whole[:at] + random.randbytes(upto - at) + whole[upto:],
            lambda: whole[:at] + whole[upto:],
            lambda: random.choice(others),
        ]
    )()


@pytest.mark.slow
def test_of_a_thousand_corruptions_none_returns_wrong_data(tmp_path, build, data, prefix):
    """Every reader gets the right maps or a named error, and one that can repair gets the maps."""
    random, recipe = Random(0), recipe_for(prefix, data, codec="int8p+lz4")
    sound = build(codec="int8p+lz4")
    expected = [read_all(sound, view)[0] for view in (0, 1)]
    files = {p.name: p.read_bytes() for p in sound.folder.iterdir() if not p.name.startswith(".")}
    store = CacheStore(tmp_path / "damaged")
    folder = store.folder(sound.manifest.key)
    folder.mkdir(parents=True)
    raised = mended = 0
    for number in range(1000):
        for name, whole in files.items():
            (folder / name).write_bytes(whole)
        name = random.choice(sorted(files))
        damage = corrupted(random, files[name], [w for n, w in files.items() if n != name])
        (folder / name).write_bytes(damage)
        try:
            reader = FeatureCache.open(folder)
            for view in (0, 1):
                assert torch.equal(read_all(reader, view)[0], expected[view]), (number, name)
        except CacheError:
            raised += 1
        if number % 20 == 0:
            cache = store.get_or_build(recipe, prefix=prefix, data=data)
            for view in (0, 1):
                assert torch.equal(read_all(cache, view)[0], expected[view]), (number, name)
            mended += 1
    assert raised > 900
    assert mended == 50
