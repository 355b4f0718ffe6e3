"""A zeroth-order step on cached features against the same step through the whole network.

Both are measured in turns, reading the batch included, and stand beside what the
multiply-accumulates of the forward pass allow: a step on the suffix should cost ``1 - prefix
share`` of a whole one.

python benchmarks/sweeps_suffix_step.py [--rounds 15]
"""

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from harness import interleave, ratio, save, spread
from torch import Tensor, nn
from torch.nn import functional

from freezelib import (
    CacheLoader,
    CacheRecipe,
    CacheStore,
    FrozenPrefix,
    ImageChunks,
    ImageSet,
    find_cuts,
    get_model,
    split,
)
from zo import ZO

CASES = (("resnet8", (1, 8, 8), (2, 3)), ("resnet20", (3, 32, 32), (4, 7)))
SAMPLES, BATCH, STEPS = 512, 64, 4


def main() -> None:
    """Measure every case and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rows = []
    for address, shape, cuts in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(address, shape, cuts, rounds, CacheStore(Path(folder)))
    for row in rows:
        print(
            f"{row['model']:9} cut {row['cut']}: step / whole step {row['step_ratio']:.3f}, "
            f"forward / whole forward {row['forward_ratio']:.3f}, "
            f"by multiply-accumulates {row['mac_ratio']:.3f}"
        )
    save("sweeps_suffix_step", {"rows": rows, "rounds": rounds, "batch": BATCH})


def measure(
    address: str, shape: tuple[int, ...], cuts: tuple[int, ...], rounds: int, store: CacheStore
) -> list[dict[str, object]]:
    """The rows of one model."""
    data = random_images(shape)
    model = get_model(address, in_channels=shape[0], num_classes=10).eval()
    found = find_cuts(model, data.read(slice(0, 2)))
    chunks = ImageChunks(data, chunk_samples=128)
    whole = copy.deepcopy(model)  # whose prefix is not frozen
    cases = {"whole": stepper(whole, CacheLoader(chunks, batch_size=BATCH, seed=0))}
    forwards = {"whole": forward(whole, data.read(slice(0, BATCH)))}
    for k in cuts:
        prefix, suffix = split(
            copy.deepcopy(model), found[k - 1], example_input=data.read(slice(0, 2))
        )
        frozen = FrozenPrefix(prefix)
        recipe = CacheRecipe(
            prefix_digest=frozen.digest, data_fingerprint=data.fingerprint, chunk_samples=128
        )
        cache = store.get_or_build(recipe, prefix=frozen, data=data)
        cases[f"cut {k}"] = stepper(suffix, CacheLoader(cache, batch_size=BATCH, seed=0))
        forwards[f"cut {k}"] = forward(suffix, frozen(data.read(slice(0, BATCH))))
    times, bare = interleave(cases, rounds=rounds), interleave(forwards, rounds=rounds)
    return [
        {
            "model": address,
            "cut": k,
            "step_ratio": ratio(times, f"cut {k}", "whole"),
            "step_ms": spread([t / STEPS for t in times[f"cut {k}"]]),
            "whole_step_ms": spread([t / STEPS for t in times["whole"]]),
            "forward_ratio": ratio(bare, f"cut {k}", "whole"),
            "mac_ratio": 1 - found[k - 1].prefix_mac_share,
        }
        for k in cuts
    ]


def stepper(network: nn.Module, loader: CacheLoader) -> Callable[[], object]:
    """Some zeroth-order steps with a pool, each on the next batch."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = ZO(parameters, lr=1e-6, source="pool:size=4093")
    batches = forever(loader)

    def run() -> float:
        losses = []
        for _ in range(STEPS):
            inputs, labels = next(batches)
            losses.append(
                optimizer.step(lambda x=inputs, y=labels: functional.cross_entropy(network(x), y))
            )
        return statistics.fmean(losses)

    return run


def forward(network: nn.Module, inputs: Tensor) -> Callable[[], object]:
    """One bare forward pass."""

    @torch.no_grad()
    def run() -> Tensor:
        return network(inputs)

    return run


def forever(loader: CacheLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end."""
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def random_images(shape: tuple[int, ...]) -> ImageSet:
    """Images of noise: what a step costs does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    channels = shape[0]
    return ImageSet(
        images=torch.randint(0, 256, (SAMPLES, *shape), dtype=torch.uint8, generator=generator),
        labels=torch.randint(0, 10, (SAMPLES,), generator=generator),
        mean=(0.5,) * channels,
        std=(0.3,) * channels,
        num_classes=10,
    )


if __name__ == "__main__":
    main()
