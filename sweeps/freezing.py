"""A trial that freezes on the way, as a policy says, in place of forking from a frozen trunk."""

from __future__ import annotations

import math
import time
from typing import Any

from torch import nn

from freezelib.cache import CacheStore
from freezelib.images import ImageSet
from freezelib.policies import Guards
from freezelib.trainer import FreezeTrainer, TrainerConfig
from sweeps.config import TrialConfig
from sweeps.recipes import augmentation, recipe_template
from sweeps.storage import Storage
from sweeps.training import Report, training_memory_bytes


def trainer_config(config: TrialConfig, num_samples: int) -> TrainerConfig:
    """What the trainer is told; its epochs are the steps of the trial, rounded up."""
    freeze = config.freeze
    batches = max(1, num_samples // config.train.batch_size)
    return TrainerConfig(
        epochs=math.ceil(config.train.steps / batches),
        batch_size=config.train.batch_size,
        lr=config.train.lr,
        momentum=config.train.momentum,
        weight_decay=config.train.weight_decay,
        seed=config.seed,
        augmentation=augmentation(config.cache),
        policy=freeze.policy,
        guards=Guards(
            warmup=freeze.warmup,
            max_fraction=freeze.max_fraction,
            break_even=freeze.break_even,
            unfreeze_last=freeze.unfreeze_last,
        ),
        schedule=freeze.schedule or config.cache.codec,
        recipe=recipe_template(config.cache),
        recache=freeze.recache,
    )


def train_with_policy(
    model: nn.Module,
    data: ImageSet,
    config: TrialConfig,
    storage: Storage,
    *,
    report: Report,
) -> dict[str, Any]:
    """Train a model from its trunk to the end, freezing on the way.

    Returns:
        The scores of ``run_trial`` that depend on how it was trained; cache bytes are the largest
        that were held at one time, and the memory is that of the first, unfrozen step.
    """
    memory_bytes = training_memory_bytes(model, data, config.train)
    trainer = FreezeTrainer(
        model, data, trainer_config(config, len(data)), store=CacheStore(storage.caches)
    )
    started = time.perf_counter()
    rows = trainer.fit(lambda row: report(row["epoch"] + 1, {"train_loss": row["loss"]}))
    build_wall_s = sum(row["build_wall_s"] for row in rows)
    cache = trainer.phase.cache
    return {
        "cache_key": cache.manifest.key if cache else "",
        "cache_bytes": max(row["cache_bytes"] for row in rows),
        "build_wall_s": build_wall_s,
        "train_wall_s": time.perf_counter() - started - build_wall_s,
        "train_loss": rows[-1]["loss"],
        "train_memory_bytes": memory_bytes,
        "num_weights": sum(p.numel() for p in model.parameters()),
        "freeze_points": " ".join(str(row["k"]) for row in rows),
        "codecs": " ".join(dict.fromkeys(row["codec"] for row in rows if row["codec"])),
    }
