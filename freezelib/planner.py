"""The storage planner: what to cache within a budget of bytes, and what that will cost.

Stored views, sensitive channels (with or without a corrector) and the codec are chosen together.
Each candidate is built and read in small (:mod:`freezelib.rehearsal`) and judged by the mean
distance between the map that training would read and the exact one that it stands for. If the loss
of the suffix is Lipschitz in its input, this distance bounds what the cache changes in the
training objective, whatever the error is made of (Kantorovich and Rubinstein). A canonical map
that is read where a random one was asked for is as far off as the two are apart.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from freezelib.augment import Augmentation
from freezelib.cache import CacheRecipe
from freezelib.frozen import FrozenPrefix
from freezelib.gate import Gate
from freezelib.hashing import permutation
from freezelib.images import ImageSet
from freezelib.rehearsal import AS_TRAINED, Rehearsal, Rehearsals
from freezelib.schedule import CompressionSchedule
from freezelib.storage_plan import Candidate, StoragePlan, describe

CODECS = ("raw", "int8+lz4", "int4+zstd", "int2+zstd")
FRACTIONS = (0.125, 0.25, 0.5)
STORED_VIEWS = (2, 4, 8)
_PROBE_BYTES = 256 << 20  # for the exact maps of the probe
_AS_GOOD = 0.01  # of error that is not worth a byte


def plan_storage(
    prefix: FrozenPrefix,
    data: ImageSet,
    *,
    budget_bytes: int,
    augmentation: Augmentation | None = None,
    template: CacheRecipe | None = None,
    suffix: nn.Module | None = None,
    codecs: Sequence[str] = CODECS,
    fractions: Sequence[float] = FRACTIONS,
    stored_views: Sequence[int] = STORED_VIEWS,
    probe_samples: int = 512,
) -> StoragePlan:
    """Choose stored views, sensitive channels and codec together, by trying them in small.

    Args:
        prefix: The frozen prefix.
        data: The training images.
        budget_bytes: What the cache may take.
        augmentation: What training will do to each sample.
        template: Everything else about the recipe.
        suffix: What will be trained; codecs that it does not bear, by the gate of the compression
            schedule (which a training applies as well), are refused.
        codecs: Addresses of the codecs to try.
        fractions: Shares of sensitive channels to try, by similarity (``corr``), and by error
            energy behind a corrector.
        stored_views: Numbers of stored views to try, beside one.
        probe_samples: Images to measure on; fewer where their maps are large.

    Raises:
        ValueError: Nothing fits into the budget, or there are fewer than two images.
    """
    if len(data) < 2:
        raise ValueError(f"A plan needs at least two images to measure on, but got {len(data)}.")
    augmentation = augmentation or Augmentation()
    template = replace(
        template or CacheRecipe(),
        views=augmentation.views,
        view_probability=augmentation.view_probability,
        shift_pixels=augmentation.shift_pixels,
        prefix_digest=prefix.digest,
        data_fingerprint=data.fingerprint,
    )
    candidates: list[Candidate] = []
    samples = _probe_size(prefix, data, augmentation, stored_views, probe_samples)
    refused = {} if suffix is None else _not_borne(suffix, prefix, data, codecs, samples)
    with tempfile.TemporaryDirectory() as folder:
        rehearsals = Rehearsals(
            prefix,
            data,
            augmentation,
            samples=samples,
            folder=Path(folder),
            seed=template.order_seed,
        )
        for arm in _arms(template, rehearsals.map_shape, fractions, stored_views):
            for codec in codecs:
                if codec in refused:
                    continue
                recipe = replace(arm, codec=codec)
                try:
                    found = rehearsals.hold(recipe)
                except ValueError as error:
                    refused[f"{recipe.codec}, {describe(recipe)}"] = str(error)
                else:
                    candidates.append(_estimate(recipe, found, rehearsals.prefix_s, len(data)))
    candidates.sort(key=lambda candidate: (candidate.cache_bytes, candidate.map_error))
    return StoragePlan(
        budget_bytes=budget_bytes,
        num_samples=len(data),
        chosen=_choose(candidates, budget_bytes, refused),
        candidates=tuple(candidates),
        refused=refused,
    )


def _probe_size(
    prefix: FrozenPrefix,
    data: ImageSet,
    augmentation: Augmentation,
    stored_views: Sequence[int],
    wanted: int,
) -> int:
    """As many images as are wanted and as there is memory for."""
    per_image = 8 + 2 * len(augmentation.views) + 2 * max((0, *stored_views))
    map_bytes = 4 * prefix(data.read(slice(0, 1))).numel()
    return max(2, min(wanted, len(data), _PROBE_BYTES // (per_image * map_bytes)))


def _not_borne(
    suffix: nn.Module, prefix: FrozenPrefix, data: ImageSet, codecs: Sequence[str], samples: int
) -> dict[str, str]:
    """The codecs that do not pass the gate, and why."""
    rows = torch.from_numpy(permutation(len(data))[:samples])
    gate = Gate(prefix(data.read(rows)), suffix)
    probes = {codec: gate.probe(codec) for codec in codecs}
    return {
        codec: f"the suffix does not bear it: {probe}"
        for codec, probe in probes.items()
        if probe is not None and not CompressionSchedule.parse(codec).passes(probe)
    }


def _arms(
    template: CacheRecipe,
    map_shape: tuple[int, ...],
    fractions: Sequence[float],
    stored_views: Sequence[int],
) -> Iterator[CacheRecipe]:
    """Everything that can be stored of each sample, but for the codec."""
    if not template.views:
        yield replace(template, stored_views=1)
    else:
        yield replace(template, scorer="all", stored_views=1)
        if len(map_shape) == 3:  # tokens have no counterpart of a view
            yield replace(template, scorer="none", stored_views=1)
            yield replace(template, scorer="none", correct=True, stored_views=1)
            for fraction in fractions:
                some = replace(template, max_fraction=fraction, stored_views=1)
                yield replace(some, scorer="corr", correct=False)
                yield replace(some, scorer="error_energy", correct=True)
    if template.views or template.shift_pixels:
        for count in stored_views:
            yield replace(template, stored_views=count)


def _estimate(
    recipe: CacheRecipe, found: Rehearsal, prefix_s: float, num_samples: int
) -> Candidate:
    """The small cache scaled up to the whole data set."""
    several = recipe.stored_views > 1
    passes = recipe.stored_views if several else 1 + found.extra_views
    scored = 0 if several or recipe.scorer == "all" else 2 * len(recipe.views)
    build_s = num_samples * (passes * prefix_s + found.encode_s)
    build_s += scored * (1 + recipe.correct) * min(recipe.score_samples, num_samples) * prefix_s
    saved_s = num_samples * (prefix_s - found.read_s)
    return Candidate(
        recipe=recipe,
        cache_bytes=math.ceil(num_samples * found.bytes_per_sample),
        map_error=found.errors[AS_TRAINED],
        errors=found.errors,
        build_s=build_s,
        break_even_epochs=build_s / saved_s if saved_s > 0 else math.inf,
    )


def _choose(
    candidates: Sequence[Candidate], budget_bytes: int, refused: Mapping[str, str]
) -> Candidate:
    """The smallest of those within the budget that are as good as the best of them."""
    if not candidates:
        raise ValueError(f"Nothing can be cached here: {'; '.join(refused.values())}")
    fitting = [c for c in candidates if c.cache_bytes <= budget_bytes]
    if not fitting:
        least = candidates[0]
        raise ValueError(
            f"A cache of these maps must have at least {least.cache_bytes:,} bytes "
            f"({least.recipe.codec}, {least.stored}), but the budget is {budget_bytes:,}: raise "
            "it, cut deeper, or take fewer samples."
        )
    best = min(candidate.map_error for candidate in fitting)
    return next(c for c in fitting if c.map_error <= best + _AS_GOOD)
