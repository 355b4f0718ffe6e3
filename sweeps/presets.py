"""Presets: functions that return a sweep. The first line of each is its description."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

from sweeps.config import (
    Arm,
    CacheConfig,
    SweepConfig,
    TaskConfig,
    TrainConfig,
    TrialConfig,
    TrunkConfig,
)
from sweeps.typed import unknown_key

_CODECS = ("raw", "int8+lz4", "int4+lz4")


def quickstart() -> SweepConfig:
    """Digits from a drifted sensor: all four knobs, backprop and zeroth-order, in minutes."""
    zeroth_order = {
        "train.method": "zo",
        "train.steps": 1000,
        "train.batch_size": 128,
        "train.lr": 1e-3,
        "train.weight_decay": 0.0,
        # Every look costs two forwards, so a thousand steps see too few samples to vary them.
        "cache.views": (),
    }
    return SweepConfig(
        base=TrialConfig(
            task=TaskConfig(name="digits", drift=True),
            trunk=TrunkConfig(model="resnet8", steps=360),
            # One pixel to either side: what a mirrored digit is, nobody can say.
            cache=CacheConfig(
                views=("shift:x=0.125,y=0", "shift:x=-0.125,y=0"), chunk_samples=256
            ),
        ),
        arms={
            "unfrozen": Arm(),
            "freeze": Arm(axes={"cut": (1, 2, 3), "cache.codec": _CODECS}),
            "similarity": Arm(
                fixed={"cut": 3, "cache.max_fraction": 0.5},
                axes={"cache.similarity_threshold": (-1.0, 0.8, 0.95)},
            ),
            "zeroth-order": Arm(
                fixed=zeroth_order,
                axes={
                    "cut": (2, 3),
                    "train.source": (
                        "gaussian",
                        "pool:size=4093",
                        "pool:size=61",
                        "lfsr_bank:num_rngs=31,bits=8",
                        "lfsr_bank:num_rngs=31,bits=8,rotation=none",
                    ),
                },
            ),
            "zeroth-order-unfrozen": Arm(fixed=zeroth_order),
        },
    )


def search() -> SweepConfig:
    """The quickstart's knobs as one space, sampled by Optuna towards the Pareto front."""
    base = quickstart()
    freeze = {
        "cut": (1, 2, 3, 4),
        "cache.codec": ("raw", "f16", "int8", "int8+lz4", "int4", "int4+lz4"),
        "cache.similarity_threshold": (-1.0, 0.7, 0.8, 0.9, 0.95),
        "cache.max_fraction": (0.25, 0.5),
    }
    sources = tuple(
        ["gaussian"]
        + [f"pool:size={size}" for size in (61, 509, 1021, 4093)]
        + [f"lfsr_bank:num_rngs={n},bits={b}" for n in (7, 31, 63) for b in (5, 8)]
    )
    zeroth_order = base.arms["zeroth-order"].fixed
    return replace(
        base,
        search="optuna",
        num_trials=40,
        arms={
            "backprop": Arm(axes=freeze),
            "zeroth-order": Arm(
                fixed=zeroth_order,
                axes={
                    "cut": freeze["cut"],
                    "cache.codec": freeze["cache.codec"],
                    "train.source": sources,
                },
            ),
        },
    )


def fashion() -> SweepConfig:
    """Fashion-MNIST, ResNet-20: freeze point, codec and similarity threshold with flips."""
    return SweepConfig(
        base=TrialConfig(
            task=TaskConfig(name="fashion_mnist", train_samples=10_000),
            trunk=TrunkConfig(model="resnet20:width=8", steps=780, batch_size=128),
            cache=CacheConfig(views=("hflip",)),
            train=TrainConfig(steps=780, batch_size=128),
        ),
        arms={
            "unfrozen": Arm(),
            "freeze": Arm(
                axes={
                    "cut": (4, 7, 10),
                    "cache.codec": ("int8+lz4", "int4+lz4"),
                    "cache.similarity_threshold": (-1.0, 0.9),
                }
            ),
        },
    )


def cifar10() -> SweepConfig:
    """CIFAR-10, ResNet-20: the same on colour images."""
    base = fashion()
    return replace(
        base,
        base=replace(
            base.base,
            task=TaskConfig(name="cifar10"),
            trunk=TrunkConfig(model="resnet20", steps=7800, batch_size=128),
            train=TrainConfig(steps=7800, batch_size=128),
        ),
    )


def scratch() -> SweepConfig:
    """Digits from scratch: freezing policies side by side, each with caches on the way."""
    return SweepConfig(
        base=TrialConfig(
            task=TaskConfig(name="digits"),
            trunk=TrunkConfig(model="resnet8", steps=0),
            cache=CacheConfig(
                views=("shift:x=0.125,y=0", "shift:x=-0.125,y=0"), chunk_samples=256
            ),
            train=TrainConfig(steps=400, lr=0.1),
        ),
        arms={
            "policies": Arm(
                axes={
                    "freeze.policy": (
                        "never",
                        "linear:start=0.3",
                        "alpha",
                        "budget",
                        "gradnorm",
                        "plasticity",
                        "weight_delta",
                    )
                }
            ),
            "compression": Arm(
                fixed={"freeze.policy": "budget"},
                axes={"freeze.schedule": ("raw", "int8+lz4, int4+lz4@0.5")},
            ),
        },
    )


def smoke() -> SweepConfig:
    """Six tiny trials on synthetic images: does everything run here?"""
    return SweepConfig(
        base=TrialConfig(
            task=TaskConfig(name="synthetic"),
            trunk=TrunkConfig(model="resnet8:width=4", steps=40),
            cache=CacheConfig(views=("hflip",), chunk_samples=128),
            train=TrainConfig(steps=20),
        ),
        arms={
            "unfrozen": Arm(),
            "freeze": Arm(fixed={"cut": 3}, axes={"cache.codec": ("raw", "int8+lz4")}),
            "zeroth-order": Arm(
                fixed={
                    "cut": 3,
                    "train.method": "zo",
                    "train.lr": 1e-3,
                    "train.weight_decay": 0.0,
                },
                axes={
                    "train.source": ("gaussian", "pool:size=509", "lfsr_bank:num_rngs=7,bits=8")
                },
            ),
        },
    )


PRESETS: dict[str, Callable[[], SweepConfig]] = {
    preset.__name__: preset for preset in (quickstart, search, scratch, fashion, cifar10, smoke)
}


def get_preset(name: str) -> SweepConfig:
    """The sweep of a preset.

    Raises:
        ValueError: There is none of that name; the valid ones are listed.
    """
    if name not in PRESETS:
        raise ValueError(str(unknown_key(name, list(PRESETS))).replace("key", "preset", 1))
    return replace(PRESETS[name](), description=description(name))


def description(name: str) -> str:
    """A preset in one line."""
    return (inspect.getdoc(PRESETS[name]) or "").splitlines()[0]
