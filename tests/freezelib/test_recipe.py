from dataclasses import fields, replace

import pytest

from freezelib.cache import (
    CacheRecipe,
)

RECIPE = CacheRecipe(prefix_digest="p" * 64, data_fingerprint="d" * 32)
OTHER = {
    "prefix_digest": "q" * 64,
    "data_fingerprint": "e" * 32,
    "codec": "int4+lz4",
    "views": ("hflip",),
    "scorer": "cosine",
    "correct": True,
    "channel_gain": (1.0, 2.0),
    "stored_views": 2,
    "view_probability": 0.25,
    "shift_pixels": 4,
    "advanced_from": "a" * 40,
    "similarity_threshold": 0.8,
    "max_fraction": 0.5,
    "score_samples": 100,
    "chunk_samples": 100,
    "order_seed": 1,
}


ACTING = {  # where a field acts
    "view_probability": {"stored_views": 2},
    "shift_pixels": {"stored_views": 2},
    "channel_gain": {"views": ("hflip",), "scorer": "error_energy"},
} | {
    name: {"views": ("hflip",)}
    for name in ("scorer", "correct", "similarity_threshold", "max_fraction", "score_samples")
}


@pytest.mark.parametrize("field", [field.name for field in fields(CacheRecipe)])
def test_every_field_of_the_recipe_changes_the_key(field):
    here = replace(RECIPE, **ACTING.get(field, {}))
    assert replace(here, **{field: OTHER[field]}).key != here.key


@pytest.mark.parametrize("field", sorted(ACTING))
def test_a_field_that_does_not_act_changes_no_key(field):
    assert replace(RECIPE, **{field: OTHER[field]}).key == RECIPE.key


@pytest.mark.parametrize("field", [field.name for field in fields(CacheRecipe)])
def test_a_recipe_is_read_from_its_manifest(field):
    there = replace(RECIPE, **ACTING.get(field, {}), **{field: OTHER[field]})
    assert CacheRecipe.from_json(there.to_json()) == there.effective()


def test_the_key_is_pinned():
    """If this fails on purpose, raise FORMAT_VERSION: every cache on disk has lost its name."""
    assert RECIPE.key == "27b7386623aad076d47646ce585c164d64c3fb07"


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
        {"stored_views": 0},
        {"shift_pixels": -1},
        {"scorer": "best"},
        {"view_probability": 1.5},
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValueError, match=r"but got|Unknown"):
        replace(RECIPE, **change)
