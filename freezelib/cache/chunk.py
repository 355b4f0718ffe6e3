"""One chunk: a record batch in an Arrow IPC file, one row per sample.

Columns are ``sample_id``, ``label`` and one fixed-shape tensor per plane, named ``base.codes``,
``hflip.scale`` and so on: the codec's planes for the whole map, for the sensitive channels of
each view, and for each further stored view (``stored-1``). Planes that a codec can do without lie
in a second file of the same rows, so that deleting those files is a step down in rate without a
rebuild. Any Arrow reader opens both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.codecs.spec import CodecSpec

BASE = "base"
_MIN_GAIN = 0.85  # compressed over plain size, above which decompressing at every read is no deal
_READ = pa.ipc.IpcReadOptions(use_threads=False)  # a trial has one core; more would be another's


@dataclass(frozen=True, eq=False)
class ChunkData:
    """A chunk in memory: ids, labels, and the planes of the base maps and of each view."""

    sample_ids: NDArray[np.int64]
    labels: Tensor
    planes: Mapping[str, Mapping[str, Tensor]]


def stored_view(number: int) -> str:
    """Group of planes of the ``number``-th stored view; the canonical one is the base."""
    return BASE if number == 0 else f"stored-{number}"


def to_tables(chunk: ChunkData, *, detachable: tuple[str, ...]) -> tuple[pa.Table, pa.Table]:
    """The chunk as two Arrow tables of one record batch: what is needed, and the detachable."""
    needed: dict[str, Any] = {
        "sample_id": pa.array(chunk.sample_ids),
        "label": pa.array(chunk.labels.numpy()),
    }
    spare: dict[str, Any] = {}
    for group, planes in chunk.planes.items():
        for name, plane in planes.items():
            rows = np.ascontiguousarray(plane.view(_STORED_AS.get(plane.dtype, plane.dtype)))
            columns = spare if name in detachable else needed
            columns[f"{group}.{name}"] = pa.FixedShapeTensorArray.from_numpy_ndarray(rows)
    return pa.table(needed), pa.table(spare)


def joined(needed: pa.Table, spare: pa.Table) -> pa.Table:
    """One table with the columns of both, without a copy."""
    for field in spare.schema:
        needed = needed.append_column(field, spare.column(field.name))
    return needed


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


def serialise(table: pa.Table, compression: pa.Codec | None = None) -> memoryview:
    """The bytes of the Arrow IPC file, its buffers compressed if asked for."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def deserialise(data: pa.Buffer) -> pa.Table:
    """The table of an Arrow IPC file; uncompressed columns stay where they are."""
    return pa.ipc.open_file(data, options=_READ).read_all()


def compression(spec: CodecSpec) -> pa.Codec | None:
    """What Arrow calls the coder of a codec's address."""
    if spec.coder == "none":
        return None
    return pa.Codec(spec.coder, compression_level=spec.level)


def worth_compressing(table: pa.Table, coder: pa.Codec) -> bool:
    """Whether a coder shrinks a chunk enough to pay for decompressing it whole at each read."""
    head = len(serialise(table.slice(0, 0)))  # the schema is not what is compressed
    packed, plain = (len(serialise(table, option)) - head for option in (coder, None))
    return packed <= _MIN_GAIN * plain


# Arrow's tensors know no bfloat16: the same bits under another name.
_STORED_AS = {torch.bfloat16: torch.int16}


def _tensor(column: pa.ChunkedArray) -> Tensor:
    array = column.chunk(0)
    rows = array.storage.flatten()
    if pa.types.is_float16(rows.type):  # DLPack of Arrow knows no half
        rows = rows.view(pa.uint16())
        return torch.from_dlpack(rows).view(torch.float16).view(len(array), *array.type.shape)
    tensor = torch.from_dlpack(rows).view(len(array), *array.type.shape)
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.int16 else tensor
