"""Codes to float32 batches on one core, against float32 that lies in RAM already.

The bound is ``torch.index_select(out=)`` of shuffled batches of 128 from a float32 tensor larger
than the last-level cache. *Decode* gathers the same rows from the codes and dequantises them into
the same ring of two buffers. The *whole path* starts from the Arrow IPC files of the cache, one
per 512 samples: decompress one, then gather and dequantise every row of it once. The *faster way*
is that of :mod:`freezelib.codecs.compiled`, which tries a compiled loop in the unmeasured turn.
Maps are those of a trained ResNet-20 on Fashion-MNIST images padded to 32 x 32. All cases take
turns within one run. A ratio is the median over the rounds of the bound's time over the case's;
CPU time is that of the thread, which does all the work.

python benchmarks/freezelib_decode.py [--rounds 15]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from harness import save
from torch import Tensor
from torch.nn.functional import pad
from trained_maps import (
    BATCH,
    CHUNK_SAMPLES,
    chunk_files,
    chunk_planes,
    decode_all,
    feature_maps,
    trained_model,
)

from freezelib.codecs import get_codec, parse_codec
from freezelib.codecs.base import Codec, gather
from freezelib.codecs.compiled import Compiled
from freezelib.codecs.scratch import Scratch

CUTS = {7: 8192, 4: 4096, 10: 9728}  # cuts (32x16x16, 16x32x32, 64x8x8) and samples
DECODED = ("f16", "bf16", "int8", "int8c", "int8p", "int4", "int2")
CODED = [f"{codec}+{coder}" for codec in ("int8", "int4", "int2") for coder in ("lz4", "zstd")]
CODED += ["int8c+lz4:9", "int8+zstd:-1", "int4+zstd:-1"]
LOOPS = ("int8", "int8c", "int4")
BOUND = "float32 in RAM"
TARGETS = {"int8": 1.0, "int4": 1.0, "lz4": 0.35, "zstd": 0.2}


def main() -> None:
    """Print one table per shape and save all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    model, images = trained_model(max(CUTS.values()))
    images = pad(images, (2, 2, 2, 2), value=float(images.min()))
    shapes = {}
    for k, samples in CUTS.items():
        maps, _ = feature_maps(model, images[:samples], k)
        shape = "x".join(map(str, maps.shape[1:]))
        print(f"\n{shape}, {samples} samples, {maps.nbytes / 1e6:.0f} MB as float32")
        rows = measured(cases(maps), rounds, nbytes=maps.nbytes)
        shapes[shape] = {"samples": samples, "rows": rows}
        for name, row in rows.items():
            cpu, best, wall = (row[f"of_bound_{by}"] for by in ("cpu", "best_cpu", "wall"))
            print(
                f"{name:24} {row['cpu_gb_per_s']:6.1f} GB/s; of the bound: {cpu:5.2f} by CPU "
                f"({best:5.2f} best of all), {wall:5.2f} by wall"
            )
        del maps
    save("freezelib_decode", {"rounds": rounds, "targets": TARGETS, "shapes": shapes})


def cases(maps: Tensor) -> dict[str, Callable[[], None]]:
    """All ways to read every map once, in shuffled batches."""
    ring = [torch.empty(BATCH, *maps.shape[1:]) for _ in range(2)]
    order = torch.randperm(len(maps), generator=torch.Generator().manual_seed(0)).split(BATCH)
    made = {BOUND: lambda: from_ram(maps, order, ring)}
    for address in DECODED:
        planes = encoded(maps, address)
        for name, codec in both(address, ring):
            made[name] = lambda c=codec, p=planes: decode_all(
                p, c, torch.cat(order), ring, Scratch()
            )
    four = encoded(maps, "int4")
    made["int4, gather alone"] = lambda: gather_alone(four, order)
    chunk_order = torch.randperm(CHUNK_SAMPLES, generator=torch.Generator().manual_seed(1))
    for address in CODED:
        files = [
            chunk_files(get_codec(address).encode(part), address)
            for part in maps.split(CHUNK_SAMPLES)
        ]
        for name, codec in both(address, ring):
            made[name] = lambda c=codec, f=files: whole_path(f, c, chunk_order, ring)
    return made


def both(address: str, ring: list[Tensor]) -> list[tuple[str, Codec]]:
    """The codec, and the faster way to run it where there are two."""
    codec = get_codec(address)
    if parse_codec(address).quantiser not in LOOPS:
        return [(address, codec)]
    either = Compiled(codec, shape=tuple(ring[0].shape))
    return [(address, codec), (f"{address}, faster way", either)]


def encoded(maps: Tensor, address: str) -> dict[str, Tensor]:
    """The planes of all maps end to end."""
    parts = [get_codec(address).encode(part) for part in maps.split(CHUNK_SAMPLES)]
    return {name: torch.cat([planes[name] for planes in parts]) for name in parts[0]}


def from_ram(maps: Tensor, order: tuple[Tensor, ...], ring: list[Tensor]) -> None:
    """The bound."""
    for turn, rows in enumerate(order):
        torch.index_select(maps, 0, rows, out=ring[turn % len(ring)])


def gather_alone(planes: dict[str, Tensor], order: tuple[Tensor, ...]) -> None:
    """What is left for the CPU where an accelerator dequantises."""
    scratch = Scratch()
    for rows in order:
        gather(planes, rows, scratch)


def whole_path(files: list, codec: Codec, rows: Tensor, ring: list[Tensor]) -> None:
    """Decompress each chunk, then decode every row of it."""
    scratch = Scratch()
    for chunk in files:
        decode_all(chunk_planes(chunk), codec, rows, ring, scratch)


def measured(
    cases: dict[str, Callable[[], None]], rounds: int, *, nbytes: int
) -> dict[str, dict[str, float]]:
    """Rates and ratios of all cases, in turns after one unmeasured turn."""
    clocks: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, case in cases.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            case()
            if turn:
                clocks[name].append((time.perf_counter() - wall, time.thread_time() - cpu))
    rows = {}
    for name, mine in clocks.items():
        pairs = list(zip(clocks[BOUND], mine, strict=True))
        best = min(cpu for _, cpu in mine)
        rows[name] = {
            "cpu_gb_per_s": nbytes / statistics.median(cpu for _, cpu in mine) / 1e9,
            "best_cpu_gb_per_s": nbytes / best / 1e9,
            "of_bound_cpu": statistics.median(bound[1] / case[1] for bound, case in pairs),
            "of_bound_wall": statistics.median(bound[0] / case[0] for bound, case in pairs),
            "of_bound_best_cpu": min(cpu for _, cpu in clocks[BOUND]) / best,
        }
    return rows


if __name__ == "__main__":
    main()
