"""A training epoch on the cache against the same epoch on float32 feature maps in memory.

The suffix of a ResNet-20 behind its second stage, batches of 128, SGD with momentum. The bound
reads each batch by ``index_select`` from one float32 tensor into a reused buffer. All arms take
turns epoch by epoch; ratios are the medians over rounds, by wall time and by CPU time of all
threads.

python benchmarks/freezelib_epoch.py [--samples 4096] [--rounds 7]
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fashion
import torch
from harness import save, spread
from torch import Tensor, nn

from freezelib import (
    CacheLoader,
    CacheRecipe,
    CacheStore,
    FrozenPrefix,
    find_cuts,
    get_model,
    split,
)

CUT, BATCH, BOUND = 7, 128, "float32 in memory"
CODECS = ("raw", "int8", "int8+lz4", "int4", "int4+lz4", "int4+zstd")
Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]


def main() -> None:
    """Train on every store in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = fashion.load(options.samples, test_samples=10).train
    torch.manual_seed(0)
    model, example = get_model("resnet20", in_channels=1, num_classes=10), data.read(slice(0, 2))
    head, suffix = split(model, find_cuts(model, example)[CUT - 1], example_input=example)
    prefix = FrozenPrefix(head)
    maps = torch.cat([prefix(data.read(rows)) for rows in torch.arange(len(data)).split(256)])
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Batches] = {BOUND: in_memory(maps, data.labels)}
        for codec in CODECS:
            recipe = CacheRecipe(
                prefix_digest=prefix.digest, data_fingerprint=data.fingerprint, codec=codec
            )
            cache = CacheStore(Path(folder)).get_or_build(recipe, prefix=prefix, data=data)
            for prefetch in (0, 2):
                loader = CacheLoader(cache, batch_size=BATCH, seed=0, prefetch=prefetch)
                stores[codec + (", reading ahead" if prefetch else "")] = loader.epoch
        times = take_turns({n: (copy.deepcopy(suffix), s) for n, s in stores.items()}, options)
    rows = {}
    for name, clocks in times.items():
        rows[name] = {
            clock: statistics.median(
                mine / bound
                for mine, bound in zip(clocks[clock], times[BOUND][clock], strict=True)
            )
            for clock in clocks
        } | {"epoch_wall_ms": spread(clocks["wall_s"])}
        print(
            f"{name:26} {rows[name]['wall_s']:.3f} of the bound's epoch by wall, "
            f"{rows[name]['cpu_s']:.3f} by CPU"
        )
    save("freezelib_epoch", {"options": vars(options), "batch": BATCH, "rows": rows})


def in_memory(maps: Tensor, labels: Tensor) -> Batches:
    """The bound."""
    out = torch.empty(BATCH, *maps.shape[1:])

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(maps), generator=torch.Generator().manual_seed(number))
        for rows in order.split(BATCH)[: len(maps) // BATCH]:
            yield torch.index_select(maps, 0, rows, out=out), labels[rows]

    return epoch


def take_turns(
    arms: dict[str, tuple[nn.Module, Batches]], options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """Wall and CPU seconds of an epoch of each, one per round, after one unmeasured round."""
    times: dict[str, dict[str, list[float]]] = {n: {"wall_s": [], "cpu_s": []} for n in arms}
    optimizers = {name: fashion.sgd(network, lr=0.01) for name, (network, _) in arms.items()}
    for turn in range(options.rounds + 1):
        for name, (network, batches) in arms.items():
            network.train()
            wall, cpu = time.perf_counter(), time.process_time()
            for inputs, labels in batches(turn):
                fashion.sgd_step(network, optimizers[name], inputs, labels)
            if turn:
                times[name]["wall_s"].append(time.perf_counter() - wall)
                times[name]["cpu_s"].append(time.process_time() - cpu)
    return times


if __name__ == "__main__":
    main()
