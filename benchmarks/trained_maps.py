"""Feature maps of a trained ResNet-20, and chunks of them as the cache writes them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from freezelib import find_cuts, split
from freezelib.cache.chunk import (
    ChunkData,
    compression,
    deserialise,
    from_table,
    joined,
    serialise,
    to_tables,
    worth_compressing,
)
from freezelib.codecs import get_codec, parse_codec
from freezelib.codecs.base import Codec, Planes
from freezelib.codecs.scratch import Scratch
from sweeps.config import TaskConfig, TrunkConfig
from sweeps.storage import data_root
from sweeps.tasks import load_task
from sweeps.trunk import get_trunk

TRUNK = TrunkConfig(model="resnet20", steps=780, batch_size=128)
CHUNK_SAMPLES = 512
BATCH = 128
_TRAIN_SAMPLES = 10_000
_FOLDER = Path(__file__).parents[1] / "build" / "benchmarks" / "trunks"


def trained_model(samples: int) -> tuple[nn.Module, Tensor]:
    """ResNet-20 after ten epochs on 10,000 Fashion-MNIST images, and the first of these.

    It is trained once (a few minutes) and kept under ``build/benchmarks``.
    """
    config = TaskConfig(name="fashion_mnist", train_samples=_TRAIN_SAMPLES)
    train = load_task(config, data_root()).train
    return get_trunk(TRUNK, train, folder=_FOLDER), train.read(slice(0, samples))


@torch.no_grad()
def feature_maps(model: nn.Module, images: Tensor, k: int) -> tuple[Tensor, nn.Module]:
    """Maps ``[n, C, h, w]`` at the ``k``-th cut, and the suffix behind it."""
    cut = find_cuts(model, images[:2])[k - 1]
    prefix, suffix = split(model, cut, example_input=images[:2])
    prefix.eval()
    return torch.cat([prefix(part) for part in images.split(BATCH)]), suffix.eval()


def chunk_files(planes: Planes, address: str) -> list[pa.Buffer]:
    """The Arrow IPC files of a chunk, with ids and labels: what is needed, what is detachable."""
    coder = compression(parse_codec(address))
    tables = _tables(planes, address)
    return [pa.py_buffer(serialise(table, coder)) for table in tables if table.num_columns]


def cache_compresses(planes: Planes, address: str) -> bool:
    """Whether a cache would, or finds that it saves too little."""
    coder = compression(parse_codec(address))
    return coder is not None and worth_compressing(_tables(planes, address)[0], coder)


def _tables(planes: Planes, address: str) -> tuple[pa.Table, pa.Table]:
    samples = len(next(iter(planes.values())))
    chunk = ChunkData(
        np.arange(samples), torch.zeros(samples, dtype=torch.int64), {"base": planes}
    )
    return to_tables(chunk, detachable=get_codec(address).detachable)


def chunk_planes(files: list[pa.Buffer]) -> Planes:
    """The planes of a chunk, decompressed from as many of its files as are left."""
    needed, *spare = (deserialise(file) for file in files)
    for table in spare:
        needed = joined(needed, table)
    return from_table(needed).planes["base"]


def decode_all(
    planes: Planes, codec: Codec, rows: Tensor, ring: list[Tensor], scratch: Scratch
) -> None:
    """Every row of some planes once, in batches, into a ring of buffers."""
    planes = codec.unpack(planes, tuple(ring[0].shape[1:]))
    for turn, part in enumerate(rows.split(BATCH)):
        codec.decode_into(planes, part, ring[turn % len(ring)][: len(part)], scratch)
