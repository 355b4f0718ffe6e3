"""What each codec saves, loses and costs on the feature maps of a trained ResNet-20.

Bytes are those of compressed Arrow IPC files of 512 samples each, with scales, sample ids and
labels; a cache leaves files plain that would shrink by less than 15 %, which is said. NRMSE is the
root mean square error over the standard deviation of the maps; agreement is the share of samples
to which the unchanged suffix gives the same top class. Rates are in GB/s of float32 per second of
CPU time, the best of three: encode and write to memory; read, unpack and decode in batches of 128.

python benchmarks/freezelib_rates.py [--samples 2560] [--cuts 4 7 10]
"""

import argparse
import time
from typing import Any

import pyarrow as pa
import torch
from harness import save
from torch import Tensor, nn
from trained_maps import (
    BATCH,
    CHUNK_SAMPLES,
    cache_compresses,
    chunk_files,
    chunk_planes,
    decode_all,
    feature_maps,
    trained_model,
)

from freezelib.codecs import get_codec
from freezelib.codecs.scratch import Scratch

CODECS = (
    *("raw", "raw+lz4", "raw+zstd", "f16", "f16+zstd", "bf16", "bf16+zstd"),
    *("int8", "int8+lz4", "int8+lz4:9", "int8c+lz4", "int8c+lz4:9"),
    *("int8c+zstd", "int7+lz4", "int7+lz4:9", "int8+zstd:-1", "int8+zstd", "int8+zstd:6"),
    *("int8p+lz4", "int8p+zstd"),
    *("int4", "int4+lz4", "int4+zstd:-1", "int4+zstd", "int4+zstd:6"),
    *("int2", "int2+lz4", "int2+zstd", "int2+zstd:6"),
    *("zfp:rate=8", "zfp:rate=4", "zfp:abs=0.5", "sz3:rel=0.001", "sz3:rel=0.01"),
    *("jpeg:quality=95", "jpeg:quality=80", "jpeg:quality=50"),
)
TARGETS = {
    "int8+lz4": (5.0, 0.01),
    "int8+lz4:9": (5.0, 0.01),
    "int8c+lz4:9": (5.0, 0.01),
    "int7+lz4:9": (5.0, 0.01),
    "int8+zstd": (5.0, 0.01),
    "int4+zstd": (9.5, 0.06),
    "int4+zstd:6": (9.5, 0.06),
    "int2": (15.0, 0.25),
}
Row = dict[str, Any]
Chunks = list[list[pa.Buffer]]  # the files of each


def main() -> None:
    """Print one table per cut and save all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2560)
    parser.add_argument("--cuts", type=int, nargs="+", default=[4, 7, 10])
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, images = trained_model(options.samples)
    cuts = {}
    for k in options.cuts:
        maps, suffix = feature_maps(model, images, k)
        shape, zeros = tuple(maps.shape[1:]), float((maps == 0).float().mean())
        print(f"\ncut {k}: {shape}, {zeros:.0%} zeros, largest {maps.max() / maps.std():.0f} std")
        top = classes(suffix, maps)
        rows = {address: measure(address, maps, suffix, top) for address in CODECS}
        for name in ("int8p+lz4", "int8p+zstd"):
            rows[f"{name}, high plane"] = high_plane(name, maps, suffix, top)
        for name, row in rows.items():
            print(line(name, row))
        for name, (ratio, nrmse) in TARGETS.items():
            reached = rows[name]["ratio"] >= ratio and rows[name]["nrmse"] <= nrmse
            print(f"{'reached' if reached else 'MISSED'}: {name} >= {ratio}x at <= {nrmse}")
        cuts[k] = {"map_shape": shape, "zeros": zeros, "rows": rows}
    save("freezelib_rates", {"samples": options.samples, "targets": TARGETS, "cuts": cuts})


def measure(address: str, maps: Tensor, suffix: nn.Module, top: Tensor) -> Row:
    """Size, error and speed of one codec."""
    encode_s, chunks = best_of(3, lambda: write(address, maps))
    row = read_and_judge(address, chunks, maps, suffix, top)
    first = get_codec(address).encode(maps[:CHUNK_SAMPLES])
    compressed = cache_compresses(first, address)
    return {**row, "cache_compresses": compressed, "encode_gb_per_s": maps.nbytes / encode_s / 1e9}


def high_plane(address: str, maps: Tensor, suffix: nn.Module, top: Tensor) -> Row:
    """A codec of two planes after its second files are deleted; what is left must be int4."""
    left = [files[:1] for files in write(address, maps)]
    four = write(address.replace("int8p", "int4"), maps)
    assert all(one[0].equals(other[0]) for one, other in zip(left, four, strict=True))
    return read_and_judge(address, left, maps, suffix, top)


def write(address: str, maps: Tensor) -> Chunks:
    """The files of all chunks."""
    codec = get_codec(address)
    return [chunk_files(codec.encode(part), address) for part in maps.split(CHUNK_SAMPLES)]


def read_and_judge(
    address: str, chunks: Chunks, maps: Tensor, suffix: nn.Module, top: Tensor
) -> Row:
    """What is read from the files, against the maps that went in."""
    ring = [torch.empty(BATCH, *maps.shape[1:]) for _ in range(2)]
    decode_s, _ = best_of(3, lambda: [read(address, files, ring) for files in chunks])
    decoded = torch.empty_like(maps)
    for files, part in zip(chunks, decoded.split(CHUNK_SAMPLES), strict=True):
        read(address, files, list(part.split(BATCH)))
    stored = sum(file.size for files in chunks for file in files)
    error = (decoded - maps).double()
    return {
        "bytes_per_sample": stored / len(maps),
        "ratio": maps.nbytes / stored,
        "nrmse": float(error.square().mean().sqrt() / maps.double().std()),
        "largest_error_std": float(error.abs().max() / maps.std()),
        "agreement": float((classes(suffix, decoded) == top).float().mean()),
        "decode_gb_per_s": maps.nbytes / decode_s / 1e9,
    }


def read(address: str, files: list[pa.Buffer], ring: list[Tensor]) -> None:
    """Decode a chunk from its files into the buffers of a ring."""
    planes = chunk_planes(files)
    rows = torch.arange(len(next(iter(planes.values()))))
    decode_all(planes, get_codec(address), rows, ring, Scratch())


@torch.no_grad()
def classes(suffix: nn.Module, maps: Tensor) -> Tensor:
    """Top class of each sample."""
    return torch.cat([suffix(part).argmax(1) for part in maps.split(BATCH)])


def best_of(times: int, work: Any) -> tuple[float, Any]:
    """Least CPU time in seconds, and what the work gave."""
    least = float("inf")
    for _ in range(times):
        began = time.thread_time()
        result = work()
        least = min(least, time.thread_time() - began)
    return least, result


def line(name: str, row: Row) -> str:
    """A row of the table."""
    encode = f"{row['encode_gb_per_s']:6.2f}" if "encode_gb_per_s" in row else " " * 6
    plain = "+" in name and not row.get("cache_compresses", True)
    return (
        f"{name:24} {row['ratio']:6.2f}x  NRMSE {row['nrmse']:.4f}  largest error "
        f"{row['largest_error_std']:6.3f} std  agreement {row['agreement']:.4f}  encode {encode}  "
        f"decode {row['decode_gb_per_s']:6.2f} GB/s{'  (a cache leaves it plain)' * plain}"
    )


if __name__ == "__main__":
    main()
