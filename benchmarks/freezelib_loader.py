"""Shuffled float32 batches: the cache's loader against the loaders of others and the RAM bound.

Feature maps of 32 x 16 x 16 (behind the second stage of a ResNet-20; here of random images, with
42 % zeros), batches of 128, warm page cache. All loaders take turns within one run. Wall time is
what a training waits; CPU time counts every thread, so that reading ahead on another core does not
pass for speed.

python benchmarks/freezelib_loader.py [--samples 16384] [--rounds 7]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from harness import save, spread
from loader_peers import BOUND, PEERS, Stored
from torch import Tensor, nn

from freezelib import CacheLoader, CacheRecipe, CacheStore, FrozenPrefix, ImageSet
from freezelib.cache import FeatureCache

BATCH = 128
CODECS = ("raw", "int8", "int8+lz4", "int8+zstd", "int8p", "int4", "int4+lz4", "int4+zstd")


def main() -> None:
    """Measure every loader and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cases, stored_bytes, left_out = make_cases(options.samples, Path(folder))
        times = take_turns(cases, options.rounds)
    rows = {}
    for name, clocks in times.items():
        ratios = {
            clock: statistics.median(
                bound / mine
                for bound, mine in zip(times[BOUND][clock], clocks[clock], strict=True)
            )
            for clock in ("wall_s", "cpu_s")
        }
        rate = options.samples / statistics.median(clocks["cpu_s"])
        rows[name] = {
            "of_bound_wall": ratios["wall_s"],
            "of_bound_cpu": ratios["cpu_s"],
            "samples_per_cpu_s": rate,
            "stored_mb": stored_bytes[name] / 1e6,
            "wall_ms": spread(clocks["wall_s"]),
        }
        print(
            f"{name:32} {ratios['wall_s']:6.3f} of the bound by wall, {ratios['cpu_s']:6.3f} by "
            f"CPU, {rate:9,.0f} samples/CPU-s, {stored_bytes[name] / 1e6:7.1f} MB"
        )
    print("left out:", left_out or "none")
    save(
        "freezelib_loader",
        {"options": vars(options), "batch": BATCH, "rows": rows, "left_out": left_out},
    )


def make_cases(
    samples: int, folder: Path
) -> tuple[dict[str, Callable[[], int]], dict[str, int], list[str]]:
    """An epoch of every loader, the bytes that each stores, and the peers that are missing."""
    data, prefix = images(samples), FrozenPrefix(Maps())
    maps = torch.cat([prefix(data.read(rows)) for rows in torch.arange(samples).split(256)])
    scale = maps.amax((2, 3)).div_(255).clamp_min_(2.0**-14).half()
    codes = (maps / scale.float()[:, :, None, None]).round_().clamp_(0, 255).to(torch.uint8)
    stored = Stored(maps, codes, scale, BATCH)
    cases: dict[str, Callable[[], int]] = {}
    sizes: dict[str, int] = {}
    left_out: list[str] = []
    for name, make in PEERS.items():
        (own := folder / name.replace(" ", "-").replace("(", "").replace(")", "")).mkdir()
        try:
            peer = make(stored, own)
        except ImportError as error:
            left_out.append(f"{name}: {error}")
            continue
        cases[name], sizes[name] = peer.epoch, peer.stored_bytes
    store = CacheStore(folder / "caches")
    for codec in CODECS:
        recipe = CacheRecipe(
            prefix_digest=prefix.digest, data_fingerprint=data.fingerprint, codec=codec
        )
        cache = store.get_or_build(recipe, prefix=prefix, data=data)
        for prefetch in (0, 2):
            name = f"freezo {codec}" + (", reading ahead" if prefetch else "")
            cases[name], sizes[name] = epochs_of(cache, prefetch), cache.manifest.cache_bytes
    return cases, sizes, left_out


def epochs_of(cache: FeatureCache, prefetch: int) -> Callable[[], int]:
    """One more epoch at each call."""
    loader, number = CacheLoader(cache, batch_size=BATCH, seed=0, prefetch=prefetch), [0]

    def epoch() -> int:
        number[0] += 1
        return sum(len(labels) for _, labels in loader.epoch(number[0]))

    return epoch


def take_turns(
    cases: dict[str, Callable[[], int]], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Wall and CPU seconds of each case, one per round, after one unmeasured round."""
    times: dict[str, dict[str, list[float]]] = {n: {"wall_s": [], "cpu_s": []} for n in cases}
    for turn in range(rounds + 1):
        for name, case in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            case()
            if turn:
                times[name]["wall_s"].append(time.perf_counter() - wall)
                times[name]["cpu_s"].append(time.process_time() - cpu)
    return times


class Maps(nn.Module):
    """A cheap prefix whose maps have the shape and about the zeros of a ResNet-20's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 32, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``[n, 32, 16, 16]`` of images ``[n, 1, 16, 16]``."""
        return self.conv(images).relu()


def images(samples: int) -> ImageSet:
    """Smooth random images, so that their maps compress about as real ones do."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(samples, 1, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear")
    return ImageSet(
        images=(smooth * 255).to(torch.uint8),
        labels=torch.randint(0, 10, (samples,), generator=generator),
        mean=(0.5,),
        std=(0.3,),
        num_classes=10,
    )


if __name__ == "__main__":
    main()
