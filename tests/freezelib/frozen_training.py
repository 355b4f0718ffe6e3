"""A small training with two freeze events, which may be told to die.

Run as a script: ``frozen_training.py FOLDER [PLACE]`` trains, or dies by SIGKILL at a place.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from frozen_samples import CHUNK_SAMPLES, labelled_images, small_resnet

from freezelib.augment import Augmentation
from freezelib.cache import CacheRecipe, CacheStore
from freezelib.policies import Guards
from freezelib.trainer import FreezeTrainer, TrainerConfig

EPOCHS = 5


def config(**changes):
    chosen = {
        "epochs": EPOCHS,
        "batch_size": 10,
        "lr": 0.05,
        "policy": "manual:1=1,3=2",
        "guards": Guards(warmup=0, max_fraction=1, break_even=0),
        "augmentation": Augmentation(views=("hflip",), shift_pixels=4),
        "schedule": "int8",
        "recipe": CacheRecipe(chunk_samples=CHUNK_SAMPLES),
        "checkpoint_batches": 2,
    }
    return TrainerConfig(**(chosen | changes))


def trainer(folder, *, stored=True, checkpoint=True, samples=64, **changes):
    return FreezeTrainer(
        small_resnet(),
        labelled_images(samples),
        config(**changes),
        store=CacheStore(Path(folder) / "caches") if stored else None,
        checkpoint=Path(folder) / "checkpoint.pt" if checkpoint else None,
    )


def weights(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner, name, number):
    """Die at the ``number``-th call of a function, before it does anything."""
    whole, left = getattr(owner, name), [number]

    def dying(*args, **kwargs):
        left[0] -= 1
        return die() if left[0] == 0 else whole(*args, **kwargs)

    setattr(owner, name, dying)


def arm(place):
    from freezelib.cache import build, files
    from freezelib.cache.manifest import Manifest
    from freezelib.trainer import progress

    if place == "build":
        at_call(build, "write_known", 6)  # the second chunk of the second cache
    elif place == "commit":
        at_call(Manifest, "write", 2)
    elif place == "epoch":
        at_call(FreezeTrainer, "_step", 15)
    elif place == "checkpoint":
        whole = progress.save

        def save(path, *rest, calls=[5]):  # noqa: B006
            calls[0] -= 1
            if calls[0] == 0:
                files.os.fsync = die  # with half of the checkpoint written under another name
            whole(path, *rest)

        progress.save = save
    else:
        raise ValueError(place)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        arm(sys.argv[2])
    done = trainer(sys.argv[1])
    done.fit()
    torch.save(done.model.state_dict(), Path(sys.argv[1]) / "weights.pt")
