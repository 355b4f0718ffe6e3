"""What a training with freezing is."""

from __future__ import annotations

from dataclasses import dataclass, field

from freezelib.augment import Augmentation
from freezelib.cache import CacheRecipe
from freezelib.policies import Guards, get_policy
from freezelib.schedule import CompressionSchedule

RECACHE = ("images", "cache")


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """SGD with momentum under one cosine, and when what is frozen and how it is cached.

    Attributes:
        epochs: Passes over the data, frozen or not.
        batch_size: Samples per step (per rank, where there are several).
        lr: Learning rate at the start; it falls to 0 along a cosine over all epochs.
        momentum: Of SGD, in Nesterov's form if it is not 0.
        weight_decay: On everything that is still trained.
        seed: Of order and augmentation.
        augmentation: Of the images, and of the maps as far as they can follow.
        policy: Address of the freezing policy.
        guards: What holds a policy back.
        cached: Whether frozen layers are cached; otherwise they run at each step.
        schedule: Codec, or codecs by freeze depth: ``"int8+lz4, int4+lz4@0.34"``.
        recipe: Everything else about the caches; digests and codec are filled in at each freeze.
        recache: What a deeper cache is made of: the ``images``, or the ``cache`` before it, which
            is cheaper and keeps that cache's error.
        keep_caches: Whether caches that a deeper freeze made useless are kept.
        amp: Whether the trained part runs under bfloat16 autocast.
        compile: Backend for ``torch.compile`` of the trained part; empty for none.
        checkpoint_batches: Batches between checkpoints inside an epoch; 0 for none.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    policy: str = "budget"
    guards: Guards = field(default_factory=Guards)
    cached: bool = True
    schedule: str = "int8+lz4"
    recipe: CacheRecipe = field(default_factory=CacheRecipe)
    recache: str = "images"
    keep_caches: bool = True
    amp: bool = False
    compile: str = ""
    checkpoint_batches: int = 0

    def __post_init__(self) -> None:
        get_policy(self.policy)
        CompressionSchedule.parse(self.schedule)
        if self.recache not in RECACHE:
            raise ValueError(f"recache must be one of {RECACHE}, but got {self.recache!r}.")
        if self.epochs < 1 or self.batch_size < 2 or self.checkpoint_batches < 0:
            raise ValueError(
                "epochs >= 1, batch_size >= 2 and checkpoint_batches >= 0 must hold, but got "
                f"{self.epochs}, {self.batch_size} and {self.checkpoint_batches}."
            )
        if not (self.lr > 0 and 0 <= self.momentum < 1 and self.weight_decay >= 0):
            raise ValueError(
                "lr > 0, 0 <= momentum < 1 and weight_decay >= 0 must hold, but got "
                f"{self.lr}, {self.momentum} and {self.weight_decay}."
            )
