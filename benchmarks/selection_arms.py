"""What a suffix learns from maps that a selection of channels makes, for the selection benchmark.

Maps are float32 tensors in memory, base and extra channels exact, so that nothing but the
selection differs between the arms. All arms of a run share order and flips.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from fashion import Fashion, sgd, sgd_step
from torch import Tensor, nn

from freezelib.augment import (
    Augmentation,
    Selection,
    View,
    correct_maps,
    get_view,
    next_layer_gain,
    select_channels,
)
from freezelib.hashing import permutation

CUT, BUDGET, EPOCHS, BATCH, LR = 7, 0.25, 15, 128, 0.1
TESTS = ("plain", "flipped")
FLIPS = Augmentation(views=("hflip",))
SCORING = 512
# Scorer and corrector of each arm: what stands in for the map of a flipped image.
ARMS = {
    "naive": ("none", False),
    "random": ("random", False),
    "corr": ("corr", False),
    "error_energy": ("error_energy", False),
    "corrected": ("none", True),
    "corrected+random": ("random", True),
    "corrected+error_energy": ("error_energy", True),
    "all": ("all", False),
}

Halves = tuple[nn.Module, nn.Module]


def select(
    halves: Halves, images: Tensor, view: View, scorer: str, *, correct: bool, **options: Any
) -> Selection:
    """A selection that only the budget bounds; ``+gain`` weighs by the next layer's weights."""
    prefix, suffix = halves
    name, _, weighted = scorer.partition("+")
    batches = images[:SCORING].split(256)
    channels = prefix(batches[0]).shape[1]
    return select_channels(
        prefix,
        batches,
        view,
        scorer=name,
        threshold=1.01,
        correct=correct,
        channel_gain=next_layer_gain(suffix, channels) if weighted else None,
        **options,
    )


def accuracies(halves: Halves, data: Fashion, *, trunk: int, runs: int) -> list[dict[str, Any]]:
    """Accuracy in percent of every arm on the test sets, per run."""
    prefix, suffix = halves
    view = get_view("hflip")
    images = data.train.read(slice(None))
    base, true = in_parts(prefix, images), in_parts(prefix, view.apply(images))
    tests = {name: in_parts(prefix, data.tests[name].read(slice(None))) for name in TESTS}
    rows = []
    for run in range(runs):
        seed = trunk * runs + run
        for arm, (scorer, correct) in ARMS.items():
            chosen = select(
                halves, images, view, scorer, correct=correct, max_fraction=BUDGET, seed=seed
            )
            trained = copy.deepcopy(suffix)
            maps = mixed(view.counterpart(base), true, chosen)
            fit(trained, base, maps, data.train.labels, seed=seed)
            found = {name: right(trained, tests[name], data.tests[name].labels) for name in TESTS}
            rows.append({"arm": arm, "trunk": trunk, "run": run, **found})
    return rows


def mixed(counterpart: Tensor, true: Tensor, chosen: Selection) -> Tensor:
    """The counterpart, corrected where there is a corrector, with its sensitive channels true."""
    corrector = chosen.corrector
    maps = counterpart
    if corrector is not None:
        maps = in_parts(lambda part: correct_maps(part, corrector), counterpart)
    maps[:, chosen.channels] = true[:, chosen.channels]
    return maps


def fit(suffix: nn.Module, base: Tensor, seen: Tensor, labels: Tensor, *, seed: int) -> None:
    """Train on maps under a cosine, each time half of them those of flipped images."""
    suffix.train()
    optimizer = sgd(suffix, lr=LR)
    steps = len(base) // BATCH
    for epoch in range(EPOCHS):
        order = permutation(len(base), seed, epoch)
        for step in range(steps):
            ids = order[step * BATCH : (step + 1) * BATCH]
            draws = FLIPS.draw(seed=seed, epoch=epoch, sample_ids=ids)
            rows, flipped = torch.from_numpy(ids), torch.from_numpy(draws.views == 1)
            maps = torch.where(flipped.view(-1, 1, 1, 1), seen[rows], base[rows])
            done = (epoch + step / steps) / EPOCHS
            optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * done)) / 2
            sgd_step(suffix, optimizer, maps, labels[rows])


@torch.no_grad()
def right(suffix: nn.Module, maps: Tensor, labels: Tensor) -> float:
    """Accuracy in percent; the maps are exact, so that this is the whole network's."""
    suffix.eval()
    return 100 * float((in_parts(suffix, maps).argmax(1) == labels).float().mean())


@torch.no_grad()
def in_parts(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """A function over many samples, without the memory that it takes for all at once."""
    return torch.cat([function(part) for part in inputs.split(250)])
