"""Loaders of others over the same feature maps: one shuffled epoch of float32 batches each.

Each peer stores the samples in the form that its documentation recommends for speed, reads with no
worker processes, and is given its own best way to shuffle. Packages: ``pip install tensordict
datasets lmdb webdataset zarr``; a peer that is not installed is left out, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Epoch = Callable[[], int]


@dataclass(frozen=True)
class Stored:
    """The maps in memory, as float32 and as 8-bit codes with a scale per sample and channel."""

    maps: Tensor
    codes: Tensor
    scale: Tensor
    batch_size: int

    def orders(self) -> Iterator[Tensor]:
        """Batches of sample numbers of one more epoch."""
        return iter(torch.randperm(len(self.maps)).split(self.batch_size))


@dataclass(frozen=True)
class Peer:
    """A loader: what it reads in one epoch, and the bytes that it stores."""

    epoch: Epoch
    stored_bytes: int


def ram_float32(stored: Stored, folder: Path) -> Peer:
    """The bound: ``index_select`` into reused buffers, everything in memory."""
    ring = [torch.empty(stored.batch_size, *stored.maps.shape[1:]) for _ in range(3)]

    def epoch() -> int:
        for number, rows in enumerate(stored.orders()):
            torch.index_select(stored.maps, 0, rows, out=ring[number % 3])
        return number

    return Peer(epoch, stored.maps.nbytes)


def tensor_dataset(stored: Stored, folder: Path) -> Peer:
    """torch's own DataLoader, with whole batches as indices."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

    data = TensorDataset(stored.maps)
    sampler = BatchSampler(RandomSampler(data), stored.batch_size, drop_last=False)
    loader = DataLoader(data, sampler=sampler, batch_size=None)
    return Peer(lambda: sum(len(batch[0]) for batch in loader), stored.maps.nbytes)


def memmap_float32(stored: Stored, folder: Path) -> Peer:
    """numpy.memmap of float32, gathered into a reused buffer."""
    path = folder / "maps.npy"
    np.save(path, stored.maps.numpy())
    maps = np.load(path, mmap_mode="r")
    out = np.empty((stored.batch_size, *maps.shape[1:]), np.float32)

    def epoch() -> int:
        return sum(len(np.take(maps, rows.numpy(), 0, out=out)) for rows in stored.orders())

    return Peer(epoch, path.stat().st_size)


def tensordict_float32(stored: Stored, folder: Path) -> Peer:
    """TensorDict memory maps, indexed by whole batches."""
    from tensordict import TensorDict

    mapped = TensorDict({"x": stored.maps}, [len(stored.maps)]).memmap(folder / "tensordict")
    return Peer(lambda: sum(len(mapped[rows]["x"]) for rows in stored.orders()), size_of(folder))


def tensordict_codes(stored: Stored, folder: Path) -> Peer:
    """TensorDict memory maps of codes, dequantised by the batch."""
    from tensordict import TensorDict

    parts = {"x": stored.codes, "scale": stored.scale}
    mapped = TensorDict(parts, [len(stored.codes)]).memmap(folder / "tensordict")

    def epoch() -> int:
        return sum(len(dequantised(mapped[rows])) for rows in stored.orders())

    return Peer(epoch, size_of(folder))


def hf_datasets_codes(stored: Stored, folder: Path) -> Peer:
    """Hugging Face datasets: flat fixed-size lists in the arrow format, rows by number."""
    import datasets

    flat = stored.codes.flatten(1).numpy()
    features = datasets.Features(
        {
            "x": datasets.Sequence(datasets.Value("uint8"), length=flat.shape[1]),
            "scale": datasets.Sequence(datasets.Value("float16"), length=stored.scale[0].numel()),
        }
    )
    made = datasets.Dataset.from_dict(
        {"x": flat, "scale": stored.scale.flatten(1).numpy()}, features=features
    )
    made.save_to_disk(folder / "hf")
    data = datasets.load_from_disk(folder / "hf").with_format("arrow")
    shape = (-1, *stored.codes.shape[1:])

    def epoch() -> int:
        seen = 0
        for rows in stored.orders():
            table = data[rows.numpy()]
            parts = {
                name: torch.from_numpy(table[name].combine_chunks().flatten().to_numpy())
                for name in ("x", "scale")
            }
            seen += len(
                dequantised(
                    {"x": parts["x"].view(shape), "scale": parts["scale"].view(-1, shape[1])}
                )
            )
        return seen

    return Peer(epoch, size_of(folder))


def lmdb_codes(stored: Stored, folder: Path) -> Peer:
    """LMDB: a value per sample, copied into the batch."""
    import lmdb

    codes, scale = stored.codes.flatten(1).numpy(), stored.scale.numpy()
    environment = lmdb.open(str(folder / "lmdb"), map_size=4 * codes.nbytes + 2**24)
    with environment.begin(write=True) as writing:
        for number, (row, factor) in enumerate(zip(codes, scale, strict=True)):
            writing.put(number.to_bytes(4, "big"), factor.tobytes() + row.tobytes())
    shape, head = stored.codes.shape[1:], scale[0].nbytes

    def epoch() -> int:
        seen = 0
        with environment.begin(buffers=True) as reading:
            for rows in stored.orders():
                raw = [
                    np.frombuffer(reading.get(int(n).to_bytes(4, "big")), np.uint8) for n in rows
                ]
                both = torch.from_numpy(np.stack(raw))
                part = {
                    "x": both[:, head:].reshape(-1, *shape),
                    "scale": both[:, :head].contiguous().view(torch.float16),
                }
                seen += len(dequantised(part))
        return seen

    return Peer(epoch, size_of(folder))


def webdataset_codes(stored: Stored, folder: Path) -> Peer:
    """WebDataset: tar shards of .npy samples, a shuffle buffer of 4,096."""
    import webdataset

    pattern = str(folder / "shard-%04d.tar")
    with webdataset.ShardWriter(pattern, maxcount=1024, verbose=0) as writer:
        for number in range(len(stored.codes)):
            sample = {"x.npy": stored.codes[number].numpy(), "s.npy": stored.scale[number].numpy()}
            writer.write({"__key__": f"{number:08d}", **sample})
    shards = sorted(map(str, folder.glob("shard-*.tar")))
    data = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False)
        .shuffle(4096)
        .decode()
        .to_tuple("x.npy", "s.npy")
        .batched(stored.batch_size)
    )

    def epoch() -> int:
        return sum(
            len(dequantised({"x": torch.as_tensor(x), "scale": torch.as_tensor(s)}))
            for x, s in data
        )

    return Peer(epoch, size_of(folder))


def zarr_codes(stored: Stored, folder: Path) -> Peer:
    """zarr 3: chunks of 512 samples, blosc; chunks in random order, shuffled in memory."""
    import zarr

    group = zarr.open_group(folder / "zarr", mode="w")
    for name, plane in (("x", stored.codes), ("scale", stored.scale)):
        group.create_array(name, data=plane.numpy(), chunks=(512, *plane.shape[1:]))
    starts = torch.arange(0, len(stored.codes), 512)

    def epoch() -> int:
        seen = 0
        for start in starts[torch.randperm(len(starts))].tolist():
            part = slice(start, start + 512)
            x, s = (torch.from_numpy(group[name][part]) for name in ("x", "scale"))
            for rows in torch.randperm(len(x)).split(stored.batch_size):
                seen += len(dequantised({"x": x[rows], "scale": s[rows]}))
        return seen

    return Peer(epoch, size_of(folder))


PEERS: dict[str, Callable[[Stored, Path], Peer]] = {
    "RAM float32, index_select(out=)": ram_float32,
    "RAM float32, DataLoader": tensor_dataset,
    "np.memmap float32": memmap_float32,
    "TensorDict memmap float32": tensordict_float32,
    "TensorDict memmap codes": tensordict_codes,
    "HF datasets codes": hf_datasets_codes,
    "LMDB codes": lmdb_codes,
    "zarr codes": zarr_codes,
    "WebDataset codes": webdataset_codes,
}
BOUND = next(iter(PEERS))


def dequantised(part: object) -> Tensor:
    """Codes to float32, in as few passes as the peer's own tensors allow."""
    return part["x"].float().mul_(part["scale"].float()[:, :, None, None])  # type: ignore[index]


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
