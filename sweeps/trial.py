"""One trial, a plain function of its config: task -> trunk -> cut -> cache -> train -> score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from freezelib.cache import CacheStore, FeatureCache
from freezelib.cuts import Cut, find_cuts, split
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet
from freezelib.loader import CacheLoader, ChunkSource, ImageChunks
from sweeps.config import TrialConfig
from sweeps.freezing import train_with_policy
from sweeps.hardware import price
from sweeps.recipes import augmentation, recipe_template
from sweeps.storage import Storage, data_root
from sweeps.tasks import load_task
from sweeps.training import Report, train
from sweeps.trunk import get_trunk
from sweeps.typed import to_dict

Share = Callable[[FeatureCache], FeatureCache]
Scores = dict[str, Any]

_TEST_BATCH = 500


@dataclass(frozen=True)
class Halves:
    """A model at its freeze point. Without a freeze there is no prefix, and the suffix is all."""

    prefix: FrozenPrefix | None
    suffix: nn.Module
    prefix_mac_share: float


def run_trial(
    config: TrialConfig,
    storage: Storage,
    *,
    report: Report = lambda step, metrics: None,
    share: Share = lambda cache: cache,
) -> Scores:
    """Run a trial and return its scores.

    Args:
        config: The trial.
        storage: Where trunks and caches are found or made.
        report: Called a few times while training with the step and its metrics.
        share: May hand out the same cache from memory that trials share.

    Returns:
        ``accuracy`` (on raw test images through the whole model), ``cache_bytes``,
        ``build_wall_s``, ``train_wall_s``, ``train_memory_bytes``, ``lut``, ``ff``, ``bram``,
        ``power_mw``, ``distinct_directions`` and what explains them. A trial that needs no random
        numbers has a generator of size 0.
    """
    torch.set_num_threads(1)  # trials run side by side; two threads each would fight for the cores
    config = config.effective()
    task = load_task(config.task, data_root())
    model = get_trunk(config.trunk, task.pretrain, folder=storage.trunks)
    if config.freeze.policy:
        trained = train_with_policy(model, task.train, config, storage, report=report)
        rng = _rng_scores(config, trained["num_weights"])
        return {"accuracy": accuracy(model, task.test), **trained, **rng}
    halves = cut_model(model, config.cut, example_input=task.train.read(slice(0, 2)))
    source, cache_scores = _source(config, halves.prefix, task.train, storage, share)
    loader = CacheLoader(
        source,
        batch_size=config.train.batch_size,
        seed=config.seed,
        augmentation=augmentation(config.cache),
    )
    training = train(halves.suffix, loader, config.train, seed=config.seed, report=report)
    if halves.prefix is not None:
        halves.prefix.assert_unchanged()
    num_weights = sum(p.numel() for p in halves.suffix.parameters() if p.requires_grad)
    return {
        "accuracy": accuracy(model, task.test),
        **cache_scores,
        "train_wall_s": training.wall_s,
        "step_wall_ms": training.step_wall_ms,
        "train_loss": training.loss,
        "train_memory_bytes": training.memory_bytes,
        "lr_equiv": training.lr_equiv,
        "eps_equiv": training.eps_equiv,
        "num_weights": num_weights,
        "prefix_mac_share": halves.prefix_mac_share,
        **_rng_scores(config, num_weights),
    }


def cut_model(model: nn.Module, k: int, *, example_input: Tensor) -> Halves:
    """Freeze a model at its ``k``-th freeze point.

    Raises:
        ValueError: The model has fewer freeze points.
    """
    if k == 0:
        return Halves(None, model, 0.0)
    cut = cut_at(find_cuts(model, example_input), k)
    prefix, suffix = split(model, cut, example_input=example_input)
    return Halves(FrozenPrefix(prefix), suffix, cut.prefix_mac_share)


def cut_at(cuts: list[Cut], k: int) -> Cut:
    """The ``k``-th freeze point, or the error that says how many there are."""
    if not 1 <= k <= len(cuts):
        raise ValueError(
            f"0 <= cut <= {len(cuts)} must hold for this model, but got cut={k}; its freeze "
            f"points are {', '.join(f'{c.index} ({c.node})' for c in cuts)}."
        )
    return cuts[k - 1]


@torch.no_grad()
def accuracy(model: nn.Module, test: ImageSet) -> float:
    """Share of test images whose top class is right."""
    model.eval()
    rows = torch.arange(len(test)).split(_TEST_BATCH)
    right = sum(int((model(test.read(r)).argmax(1) == test.labels[r]).sum()) for r in rows)
    return right / len(test)


def _source(
    config: TrialConfig,
    prefix: FrozenPrefix | None,
    data: ImageSet,
    storage: Storage,
    share: Share,
) -> tuple[ChunkSource, Scores]:
    """What the suffix is trained on, and what it cost."""
    if prefix is None:
        chunks = ImageChunks(data, chunk_samples=config.cache.chunk_samples)
        return chunks, {"cache_key": "", "cache_bytes": 0, "build_wall_s": 0.0}
    recipe = replace(
        recipe_template(config.cache),
        prefix_digest=prefix.digest,
        data_fingerprint=data.fingerprint,
    )
    cache = CacheStore(storage.caches).get_or_build(
        recipe, prefix=prefix, data=data, origin=to_dict(config)
    )
    manifest = cache.manifest
    return share(cache), {
        "cache_key": manifest.key,
        "cache_bytes": manifest.cache_bytes,
        "cache_nrmse": manifest.nrmse,
        "sensitive_channels": sum(len(channels) for channels in manifest.sensitive.values()),
        "build_wall_s": manifest.build_wall_s,
    }


def _rng_scores(config: TrialConfig, num_weights: int) -> Scores:
    if config.train.method == "backprop":
        none = {"lut": 0, "ff": 0, "bram": 0.0, "dsp": 0, "power_mw": 0.0}
        return {"rng_design": "none", **none, "distinct_directions": None}
    priced = asdict(
        price(
            config.train.source,
            num_weights=num_weights,
            queries=config.train.queries,
            config=config.hardware,
        )
    )
    return {"rng_design": priced.pop("design"), **priced}
