"""One chunk: a record batch in an Arrow IPC file, one row per sample.

Columns are ``sample_id``, ``label`` and one fixed-shape tensor per plane, named ``base.codes``,
``hflip.scale`` and so on: the codec's planes for the whole map, and for the sensitive channels of
each view. Any Arrow reader opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lz4.frame
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

BASE = "base"
_MIN_GAIN = 0.85  # compressed over plain size, above which decompressing at every read is no deal


@dataclass(frozen=True, eq=False)
class ChunkData:
    """A chunk in memory: ids, labels, and the planes of the base maps and of each view."""

    sample_ids: NDArray[np.int64]
    labels: Tensor
    planes: Mapping[str, Mapping[str, Tensor]]


def to_table(chunk: ChunkData) -> pa.Table:
    """The chunk as an Arrow table of one record batch."""
    columns: dict[str, Any] = {
        "sample_id": pa.array(chunk.sample_ids),
        "label": pa.array(chunk.labels.numpy()),
    }
    for group, planes in chunk.planes.items():
        for name, plane in planes.items():
            rows = np.ascontiguousarray(plane.numpy())
            columns[f"{group}.{name}"] = pa.FixedShapeTensorArray.from_numpy_ndarray(rows)
    return pa.table(columns)


def from_table(table: pa.Table) -> ChunkData:
    """The chunk of a table, without a copy: tensors look into Arrow's (read-only) buffers."""
    planes: dict[str, dict[str, Tensor]] = {}
    for field in table.schema:
        group, dot, name = field.name.rpartition(".")
        if dot:
            planes.setdefault(group, {})[name] = _tensor(table.column(field.name))
    return ChunkData(
        sample_ids=table.column("sample_id").chunk(0).to_numpy(),
        labels=torch.from_dlpack(table.column("label").chunk(0)),
        planes=planes,
    )


def serialise(table: pa.Table, *, compress: bool) -> memoryview:
    """The bytes of the Arrow IPC file, with LZ4 buffers if asked for."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if compress else None)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def deserialise(data: pa.Buffer) -> pa.Table:
    """The table of an Arrow IPC file; uncompressed columns stay where they are."""
    return pa.ipc.open_file(data).read_all()


def worth_compressing(table: pa.Table) -> bool:
    """Whether LZ4 shrinks a chunk enough to pay for decompressing it whole at each read."""
    plain = serialise(table, compress=False)
    return len(lz4.frame.compress(plain)) <= _MIN_GAIN * len(plain)


def _tensor(column: pa.ChunkedArray) -> Tensor:
    array = column.chunk(0)
    rows = array.storage.flatten()
    if pa.types.is_float16(rows.type):  # DLPack of Arrow knows no half: same bits, other name
        rows = rows.view(pa.uint16())
        return torch.from_dlpack(rows).view(torch.float16).view(len(array), *array.type.shape)
    return torch.from_dlpack(rows).view(len(array), *array.type.shape)
