import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from frozen_samples import frozen_prefix, halves, labelled_images, read_rows
from torch import nn

from freezelib.augment import Augmentation, get_view
from freezelib.cache import CacheRecipe, CacheStore
from freezelib.frozen import FrozenPrefix
from freezelib.planner import plan_storage
from freezelib.rehearsal import AS_TRAINED, CANONICAL, SHIFT, Rehearsals

FLIP = Augmentation(views=("hflip",))
MOVING = Augmentation(views=("hflip",), shift_pixels=2)
AMPLE = 10**9
FEW = {"codecs": ("int8+lz4", "int2+zstd"), "fractions": (0.5,), "stored_views": (2,)}


@pytest.fixture(scope="module")
def images():
    return labelled_images(240)


@pytest.fixture(scope="module")
def flips(images):
    """One plan that many tests look at."""
    return planned(images, augmentation=FLIP)


def planned(images, *, budget_bytes=AMPLE, **options):
    options = {"probe_samples": 96, "stored_views": (2, 4), "fractions": (0.25, 0.5)} | options
    template = options.pop("template", CacheRecipe(chunk_samples=48))
    return plan_storage(
        options.pop("prefix", None) or frozen_prefix(),
        images,
        budget_bytes=budget_bytes,
        template=template,
        **options,
    )


def error(plan, codec, stored, part=AS_TRAINED):
    (found,) = [c for c in plan.candidates if (c.recipe.codec, c.stored) == (codec, stored)]
    return found.errors[part]


def test_every_candidate_is_held_against_the_others_at_every_codec(flips):
    stored = {candidate.stored for candidate in flips.candidates}
    assert stored == {
        "0.0% of channels again",
        "0.0% of channels again, corrected",
        "25.0% of channels again by corr",
        "25.0% of channels again by error_energy, corrected",
        "50.0% of channels again by corr",
        "50.0% of channels again by error_energy, corrected",
        "every channel twice",
        "2 views",
        "4 views",
    }
    codecs = {candidate.recipe.codec for candidate in flips.candidates}
    assert codecs == {"raw", "int8+lz4", "int4+zstd", "int2+zstd"}
    assert len(flips.candidates) == len(stored) * len(codecs)
    assert not flips.refused
    sizes = [candidate.cache_bytes for candidate in flips.candidates]
    assert sizes == sorted(sizes)


def test_the_exact_cache_has_no_error(flips):
    assert error(flips, "raw", "every channel twice") == 0
    assert error(flips, "raw", "2 views", CANONICAL) == 0
    assert error(flips, "raw", "0.0% of channels again", CANONICAL) == 0


def test_bits_channels_correctors_and_views_each_bring_maps_closer(flips):
    by_bits = [
        error(flips, codec, "4 views", CANONICAL)
        for codec in ("int2+zstd", "int4+zstd", "int8+lz4", "raw")
    ]
    assert by_bits == sorted(by_bits, reverse=True)
    stored = [
        "0.0% of channels again",
        "25.0% of channels again by corr",
        "50.0% of channels again by corr",
        "every channel twice",
    ]
    by_channels = [error(flips, "int8+lz4", name, "hflip") for name in stored]
    assert by_channels == sorted(by_channels, reverse=True)
    for share in ("0.0% of channels again", "50.0% of channels again"):
        ranked = " by corr" if share[0] != "0" else ""
        better = " by error_energy" if share[0] != "0" else ""
        assert error(flips, "raw", f"{share}{better}, corrected", "hflip") < error(
            flips, "raw", f"{share}{ranked}", "hflip"
        )
    assert error(flips, "raw", "4 views") < error(flips, "raw", "2 views")


def test_the_error_is_that_of_the_maps_that_are_read(images, flips, tmp_path):
    """Read the chosen kind of cache of all images, and hold it against the exact maps."""
    (candidate,) = [
        c
        for c in flips.candidates
        if c.recipe.codec == "int8+lz4" and c.stored == "50.0% of channels again by corr"
    ]
    prefix = frozen_prefix()
    cache = CacheStore(tmp_path).get_or_build(candidate.recipe, prefix=prefix, data=images)
    apart = size = 0.0
    for number in range(cache.num_chunks):
        rows = torch.from_numpy(cache.window([number], None).sample_ids.copy())
        exact = prefix(get_view("hflip").apply(images.read(rows)))
        read = read_rows(cache, number, range(len(rows)), view=1)
        apart += float((read - exact).flatten(1).norm(dim=1).sum())
        size += float(exact.flatten(1).norm(dim=1).sum())
    assert candidate.errors["hflip"] == pytest.approx(apart / size, rel=0.1)


@pytest.mark.parametrize("stored", ["25.0% of channels again by corr", "2 views"])
def test_the_size_is_that_of_the_cache(images, flips, tmp_path, stored):
    prefix = frozen_prefix()
    for candidate in flips.candidates:
        if candidate.stored == stored:
            store = CacheStore(tmp_path)
            cache = store.get_or_build(candidate.recipe, prefix=prefix, data=images)
            assert candidate.cache_bytes == pytest.approx(cache.manifest.cache_bytes, rel=0.06)


def test_a_budget_is_kept_and_a_larger_one_never_worse(images, flips):
    least = flips.candidates[0].cache_bytes
    errors = []
    for factor in (1.0, 2.0, 4.0, 20.0):
        plan = planned(images, augmentation=FLIP, budget_bytes=int(least * factor), **FEW)
        assert plan.chosen.cache_bytes <= plan.budget_bytes
        errors.append(plan.chosen.map_error)
    assert all(b <= a + 0.01 for a, b in pairwise(errors))


def test_no_byte_is_spent_on_what_is_as_good(flips):
    best = min(candidate.map_error for candidate in flips.candidates)
    smaller = [c for c in flips.candidates if c.cache_bytes < flips.chosen.cache_bytes]
    assert flips.chosen.map_error <= best + 0.01
    assert all(candidate.map_error > best + 0.01 for candidate in smaller)


def test_a_budget_under_the_smallest_cache_is_refused(images):
    with pytest.raises(ValueError, match=r"at least [\d,]+ bytes .*the budget is 1,000: raise it"):
        planned(images, budget_bytes=1000)


def test_without_augmentation_only_the_codec_is_chosen(images):
    plan = planned(images)
    assert {candidate.stored for candidate in plan.candidates} == {"1 view"}
    assert all(c.errors[AS_TRAINED] == c.errors[CANONICAL] for c in plan.candidates)


def test_each_part_of_the_augmentation_has_an_error_of_its_own(images):
    plan = planned(images, augmentation=MOVING, codecs=("raw",))
    followed = plan.candidates[0].errors
    assert set(followed) == {AS_TRAINED, CANONICAL, "hflip", SHIFT}
    assert followed[SHIFT] > 0
    assert error(plan, "raw", "every channel twice", "hflip") == 0
    assert error(plan, "raw", "every channel twice") > 0, "its shifts are still on the map"


class Tokens(nn.Module):
    """Patches as tokens, with a place each."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.places = nn.Parameter(torch.randn(9, 6, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return self.patches(x).flatten(2).transpose(1, 2) + self.places


def test_tokens_are_stored_whole_or_as_random_views(images):
    torch.manual_seed(0)
    prefix = FrozenPrefix(Tokens())
    flips = planned(images, prefix=prefix, augmentation=FLIP, codecs=("int8",))
    assert {c.stored for c in flips.candidates} == {"every channel twice", "2 views", "4 views"}
    moving = planned(images, prefix=prefix, augmentation=MOVING, codecs=("int8",))
    assert {c.stored for c in moving.candidates} == {"2 views", "4 views"}
    (why,) = moving.refused.values()
    assert "tokens carry the place" in why


def test_a_codec_that_cannot_hold_the_maps_is_named(images):
    huge = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with torch.no_grad():
        huge[0].weight.mul_(1e6)
    plan = planned(images, prefix=FrozenPrefix(huge), codecs=("f16", "raw"))
    assert {candidate.recipe.codec for candidate in plan.candidates} == {"raw"}
    assert set(plan.refused) == {"f16, 1 view"}
    with pytest.raises(ValueError, match="Nothing can be cached"):
        planned(images, prefix=FrozenPrefix(huge), codecs=("f16",))


def test_a_codec_that_the_suffix_does_not_bear_is_refused(images):
    prefix, suffix = halves()
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 12 * 12, 500))
    options = {"prefix": FrozenPrefix(prefix), "codecs": ("raw", "int8", "int2")}
    trusting = planned(images, suffix=suffix, **options)
    with torch.no_grad():
        head[1].weight.mul_(1e3)  # sure of one of many classes, and of another one close by
    wary = planned(images, suffix=head, **options)
    assert {c.recipe.codec for c in trusting.candidates} >= {"raw", "int8"}
    assert "int2" not in {c.recipe.codec for c in wary.candidates}
    assert "the suffix does not bear it: agreement 0." in wary.refused["int2"]
    with pytest.raises(ValueError, match="Nothing can be cached here: the suffix does not bear"):
        planned(images, suffix=head, prefix=options["prefix"], codecs=("int2",))


def test_the_recipe_is_ready_to_be_built(images, tmp_path):
    prefix = frozen_prefix()
    template = CacheRecipe(chunk_samples=32, order_seed=5)
    plan = planned(images, prefix=prefix, augmentation=MOVING, template=template, codecs=("int4",))
    assert (plan.recipe.chunk_samples, plan.recipe.order_seed) == (32, 5)
    assert (plan.recipe.views, plan.recipe.shift_pixels) == (("hflip",), 2)
    cache = CacheStore(tmp_path).get_or_build(plan.recipe, prefix=prefix, data=images)
    cache.require(MOVING)


def test_planning_is_repeatable_and_leaves_nothing_behind(images, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    prefix = frozen_prefix()
    found = [planned(images, prefix=prefix, augmentation=MOVING, **FEW) for _ in range(2)]
    first, second = (
        [(c.recipe, c.cache_bytes, c.errors) for c in plan.candidates] for plan in found
    )
    assert first == second
    assert list(tmp_path.iterdir()) == []
    prefix.assert_unchanged()


def test_the_table_shows_the_front_and_marks_the_choice(images, flips):
    least = flips.candidates[0].cache_bytes
    plan = planned(images, augmentation=FLIP, budget_bytes=2 * least, **FEW)
    lines = str(plan).splitlines()
    assert len(lines) == len(plan.front) + 2
    errors = [candidate.map_error for candidate in plan.front]
    assert errors == sorted(set(errors), reverse=True)
    (mark,) = [line for line in lines if line.startswith(">")]
    assert plan.recipe.codec in mark
    assert f"{plan.chosen.map_error:.3f}" in mark
    assert any(line.startswith("x") for line in lines)
    assert f"240 samples in {plan.chosen.cache_bytes / 1e6:.1f}" in lines[-1]


def test_estimates_of_time_grow_with_what_is_run(flips):
    def build_s(stored):
        (found,) = [
            c for c in flips.candidates if (c.recipe.codec, c.stored) == ("int8+lz4", stored)
        ]
        return found.build_s

    assert 0 < build_s("2 views") < build_s("4 views") + build_s("2 views")
    assert all(c.break_even_epochs > 0 for c in flips.candidates)
    assert all(c.break_even_epochs >= 1 or math.isinf(c.break_even_epochs) for c in flips.front)


def test_one_image_is_too_few():
    with pytest.raises(ValueError, match="at least two images"):
        planned(labelled_images(1))


@pytest.mark.parametrize("samples", [95, 2, 1000])
def test_half_of_the_images_are_what_is_judged(images, tmp_path, samples):
    rehearsals = Rehearsals(
        frozen_prefix(), images, MOVING, samples=samples, folder=tmp_path, seed=0
    )
    judged = []
    exact = rehearsals._exact
    rehearsals._exact = lambda ids, draws: judged.append(len(ids)) or exact(ids, draws)
    rehearsals.hold(CacheRecipe(views=("hflip",), shift_pixels=2))
    assert set(judged) == {min(samples, 240) // 2}


def test_the_prefix_runs_once_over_the_same_batch(images, tmp_path):
    rehearsals = Rehearsals(frozen_prefix(), images, FLIP, samples=64, folder=tmp_path, seed=0)
    template = CacheRecipe(views=("hflip",), scorer="all")
    rehearsals.hold(template)
    ran = rehearsals._prefix.samples
    rehearsals.hold(dataclasses.replace(template, codec="int4"))
    rehearsals.hold(dataclasses.replace(template, scorer="corr", correct=True))
    assert rehearsals._prefix.samples == ran
