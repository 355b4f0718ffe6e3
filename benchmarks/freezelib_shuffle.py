"""How random the order of an epoch is, and that the measure can tell.

51,200 samples of 10 classes, chunks of 512, batches of 128. Two figures, both over several epochs:
the variance of the class shares of a batch over that of independent draws, and how often two
samples of a batch meet again in the next epoch over how often chance would have it. The store that
is sorted by class and was not permuted at build must fail the first.

python benchmarks/freezelib_shuffle.py [--epochs 20]
"""

import argparse
import itertools

import numpy as np
from harness import save
from numpy.typing import NDArray

from freezelib.hashing import permutation
from freezelib.order import Order

SAMPLES, CHUNK, BATCH, CLASSES = 51_200, 512, 128, 10
STORES = {
    "permuted at build": permutation(SAMPLES, 0),
    "sorted by class": np.arange(SAMPLES),
}


def main() -> None:
    """Measure both figures for several windows and both stores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    labels = np.arange(SAMPLES) * CLASSES // SAMPLES
    rows = []
    for name, stored in STORES.items():
        for window in (1, 4, 8, 16):
            epochs = [batches(window, stored, epoch) for epoch in range(options.epochs)]
            rows.append(
                {
                    "store": name,
                    "window": window,
                    "label_variance_over_iid": label_variance([labels[e] for e in epochs]),
                    "meet_again_over_chance": meet_again(epochs),
                }
            )
            print(rows[-1])
    save("freezelib_shuffle", {"options": vars(options), "rows": rows})


def batches(window: int, stored: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
    """Sample ids of one epoch, ``[batches, batch]``."""
    sizes = (CHUNK,) * (SAMPLES // CHUNK)
    order = Order(chunk_sizes=sizes, batch_size=BATCH, window=window, seed=0)
    windows = order.windows(epoch)
    ids = [np.concatenate([stored[c * CHUNK : (c + 1) * CHUNK] for c in w]) for w in windows]
    return np.stack(
        [np.concatenate([ids[w][rows] for w, rows in parts]) for parts in order.batches(epoch)]
    )


def label_variance(epochs: list[NDArray[np.int64]]) -> float:
    """Variance of the batches' class shares over that of independent draws without replacement."""
    shares = np.stack([np.bincount(b, minlength=CLASSES) / BATCH for e in epochs for b in e])
    p = 1 / CLASSES
    independent = p * (1 - p) / BATCH * (SAMPLES - BATCH) / (SAMPLES - 1)
    return float(((shares - p) ** 2).mean() / independent)


def meet_again(epochs: list[NDArray[np.int64]]) -> float:
    """Pairs of a batch that share one in the next epoch, over how many chance would have."""
    chance = (BATCH - 1) / (SAMPLES - 1)
    found = []
    for before, after in itertools.pairwise(epochs):
        batch_of = np.empty(SAMPLES, np.int64)
        batch_of[after.ravel()] = np.repeat(np.arange(len(after)), BATCH)
        again = sum(
            int((np.bincount(batch_of[batch]) * (np.bincount(batch_of[batch]) - 1)).sum())
            for batch in before
        )
        found.append(again / (len(before) * BATCH * (BATCH - 1)))
    return float(np.mean(found) / chance)


if __name__ == "__main__":
    main()
