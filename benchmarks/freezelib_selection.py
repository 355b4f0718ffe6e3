"""Which channels to cache once more: similarity-aware selection against random at equal bytes.

Two questions, with 95 % confidence intervals over independently trained trunks (Student's t; lots
and runs of one trunk are averaged first):

- map error: relative L2 error of the map that is read against the true one, on images that took no
  part in the selection, over the share of channels that is cached once more;
- accuracy of a suffix trained on such maps, on the plain and on the flipped test set.

The trunks are ResNet-20 on Fashion-MNIST, warmed up with random flips.

python benchmarks/freezelib_selection.py [--trunks 5] [--runs 1]
"""

import argparse
import copy
import math
import statistics
from typing import Any

import torch
import xxhash
from fashion import Fashion, interval, load, paired, warm_trunk
from harness import save
from selection_arms import BUDGET, CUT, EPOCHS, FLIPS, SCORING, TESTS, Halves, accuracies, select
from torch import Tensor, nn

from freezelib import FrozenPrefix, ImageSet, find_cuts, split
from freezelib.augment import Moments, View, correct_maps, get_view

MODEL, TRAIN, WARM_EPOCHS = "resnet20:width=16", 2000, 12
CUTS, FRACTIONS = (4, 7, 10), (0.0, 0.125, 0.25, 0.5, 0.75)
VIEWS = ("hflip", "rotate:degrees=15", "brightness:by=0.5", "contrast:factor=1.5")
HELD_OUT, LOTS = 1024, 5
RANKINGS = ("corr", "cosine", "rel_l2", "error_energy", "error_energy+gain")
CASE = ("view", "cut", "correct", "fraction", "scorer")

Rows = list[dict[str, Any]]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trunks", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load(TRAIN)
    errors: Rows = []
    scores: Rows = []
    for seed in range(options.trunks):
        trunk = warm_trunk(
            MODEL, seed=seed, epochs=WARM_EPOCHS, augmentation=FLIPS, data=data.train
        )
        for cut in CUTS:
            halves = cut_at(trunk, cut, data.train)
            for address in VIEWS:
                errors += map_errors(halves, data, get_view(address), trunk=seed, cut=cut)
        halves = cut_at(trunk, CUT, data.train)
        scores += accuracies(halves, data, trunk=seed, runs=options.runs)
        print(f"trunk {seed} done", flush=True)
    result = {"map_error": summarise_errors(errors), "accuracy": summarise_accuracy(scores)}
    report(result)
    settings = {
        "model": MODEL,
        "train": TRAIN,
        "warm_epochs": WARM_EPOCHS,
        "scoring": SCORING,
        "held_out": HELD_OUT,
        "suffix": {"cut": CUT, "budget": BUDGET, "epochs": EPOCHS},
        **vars(options),
    }
    save("freezelib_selection", {**settings, **result, "runs_of_accuracy": scores})


def cut_at(trunk: nn.Module, cut: int, data: ImageSet) -> Halves:
    """Frozen prefix and trainable suffix, apart from the trunk."""
    example = data.read(slice(0, 2))
    model = copy.deepcopy(trunk)
    prefix, suffix = split(model, find_cuts(model, example)[cut - 1], example_input=example)
    return FrozenPrefix(prefix), suffix


class Remembering(nn.Module):
    """A prefix that is asked for the same images many times."""

    def __init__(self, prefix: nn.Module) -> None:
        super().__init__()
        self.prefix, self._known = prefix, dict[str, Tensor]()

    def forward(self, images: Tensor) -> Tensor:
        """The maps, made at most once."""
        key = xxhash.xxh3_128_hexdigest(images.contiguous().numpy())
        if key not in self._known:
            self._known[key] = self.prefix(images)
        return self._known[key]


def map_errors(halves: Halves, data: Fashion, view: View, *, trunk: int, cut: int) -> Rows:
    """Error on held-out images for every scorer, with and without corrector, by budget."""
    remembering = Remembering(halves[0]), halves[1]
    prefix, seen = remembering[0], data.train.read(slice(0, SCORING))
    images = data.tests["plain"].read(slice(0, HELD_OUT))
    true, counterpart = prefix(view.apply(images)), view.counterpart(prefix(images))
    rows = []
    for correct in (False, True):
        corrector = select(remembering, seen, view, "none", correct=correct).corrector
        maps = counterpart if corrector is None else correct_maps(counterpart, corrector)
        moments = Moments.of([(maps, true)])
        lots = [("random", lot) for lot in range(LOTS)]
        for scorer, lot in [*((name, 0) for name in RANKINGS), *lots]:
            few = seen[:32] if scorer == "random" else seen  # a lot does not look at them
            ranked = select(
                remembering, few, view, scorer, correct=correct, max_fraction=1.0, seed=lot
            )
            worst_first = sorted(ranked.channels, key=ranked.scores.__getitem__)
            for fraction in FRACTIONS:
                taken = worst_first[: math.floor(fraction * true.shape[1])]
                case = (view.name, cut, correct, fraction, scorer)
                named = dict(zip(CASE, case, strict=True))
                rows.append({**named, "trunk": trunk, "error": moments.residual(taken)})
    return rows


def summarise_errors(rows: Rows) -> Rows:
    """Intervals over trunks, and of the differences to random selection at equal bytes."""
    cases: dict[tuple, Rows] = {}
    for row in rows:
        cases.setdefault(tuple(row[name] for name in CASE), []).append(row)
    found = {case: by_trunk(part, "error") for case, part in cases.items()}
    return [
        {
            **dict(zip(CASE, case, strict=True)),
            "error": interval(values),
            "against_random": paired(values, found[(*case[:-1], "random")]),
        }
        for case, values in found.items()
    ]


def summarise_accuracy(rows: Rows) -> Rows:
    """Intervals over trunks, and of the differences to three other arms."""
    arms = dict.fromkeys(row["arm"] for row in rows)
    summary = []
    for test in TESTS:
        found = {arm: by_trunk([r for r in rows if r["arm"] == arm], test) for arm in arms}
        for arm, values in found.items():
            lots = "corrected+random" if arm.startswith("corrected+") else "random"
            against = {"random": lots, "naive": "naive", "all": "all"}
            differences = {
                f"against_{name}": paired(values, found[other]) for name, other in against.items()
            }
            summary.append({"test": test, "arm": arm, "accuracy": interval(values), **differences})
    return summary


def by_trunk(rows: Rows, name: str) -> list[float]:
    """One value per trunk."""
    trunks = sorted({row["trunk"] for row in rows})
    return [statistics.fmean(r[name] for r in rows if r["trunk"] == trunk) for trunk in trunks]


def report(result: dict[str, Rows]) -> None:
    """Print both tables, the first at one budget."""
    for row in result["map_error"]:
        if row["fraction"] == BUDGET:
            name = f"{'corrected ' if row['correct'] else ''}{row['scorer']}"
            print(
                f"{row['view']:18} cut {row['cut']:2}  {name:28} {shown(row['error'], 3)}  "
                f"against random {shown(row['against_random'], 3)}"
            )
    for row in result["accuracy"]:
        differences = "  ".join(
            f"against {name} {shown(row[f'against_{name}'], 2)}"
            for name in ("random", "naive", "all")
        )
        print(f"{row['test']:8} {row['arm']:23} {shown(row['accuracy'], 2)}  {differences}")


def shown(found: dict[str, float], digits: int) -> str:
    """Mean and half width."""
    return f"{found['mean']:+.{digits}f} ± {found['half_width']:.{digits}f}"


if __name__ == "__main__":
    main()
