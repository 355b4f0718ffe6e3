"""Planes of several chunks, gathered as if they lay end to end.

Nothing is copied until a batch is: each chunk gives its rows straight to their places. Laying the
chunks end to end first would cost fresh memory for a window, which is dearer than decoding it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.codecs.base import Planes, gather
from freezelib.codecs.scratch import Scratch

_SMALL_ROW_BYTES = 256  # of a plane that is cheaper to copy whole than to gather piece by piece


class Pieces:
    """Planes with the rows of all chunks.

    Args:
        parts: Of each chunk. A plane that a chunk lacks is zero there.
    """

    def __init__(self, parts: Sequence[Planes]) -> None:
        self._parts = parts
        self._like = {name: plane for planes in parts for name, plane in planes.items()}
        self._sizes = [len(next(iter(planes.values()))) for planes in parts]
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)])
        self._joined = {
            name: self._end_to_end(name, like)
            for name, like in self._like.items()
            if like[:1].nbytes <= _SMALL_ROW_BYTES
        }

    def _end_to_end(self, name: str, like: Tensor) -> Tensor:
        pieces = [
            part[name] if name in part else like.new_zeros(size, *like.shape[1:])
            for part, size in zip(self._parts, self._sizes, strict=True)
        ]
        return torch.cat(pieces)

    def holds(self, dtype: torch.dtype) -> bool:
        """Whether these are the maps themselves, in that type and gathered piece by piece."""
        only = list(self._like) == ["values"] and not self._joined
        return only and self._like["values"].dtype == dtype

    def gather(
        self, rows: NDArray[np.int64], scratch: Scratch, *, values: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Some rows of each plane.

        Args:
            rows: ``[n]`` in any order; ascending ones take one pass less.
            scratch: Of the calling thread.
            values: Where the rows of the only plane go, in place of a buffer of the scratch; only
                where :meth:`holds` says so.
        """
        gathered = gather(self._joined, torch.from_numpy(rows), scratch)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        back = None
        if (owner[1:] < owner[:-1]).any():
            order = np.argsort(owner, kind="stable")
            rows, owner = rows[order], owner[order]
            back = torch.from_numpy(np.argsort(order))
        bounds = np.searchsorted(owner, np.arange(len(self._parts) + 1))
        where = [
            (part, torch.from_numpy(rows[first:last] - start), slice(first, last))
            for part, start, first, last in zip(
                self._parts, self._starts, bounds, bounds[1:], strict=False
            )
            if first < last
        ]
        for name, like in self._like.items():
            if name in self._joined:
                continue
            shape = (len(rows), *like.shape[1:])
            out = values
            if out is None or back is not None:
                out = scratch.take(f"gathered {name}", shape, like.dtype)
            for part, local, place in where:
                if name in part:
                    torch.index_select(part[name], 0, local, out=out[place])
                else:
                    out[place].zero_()
            if back is not None:
                final = values
                if final is None:
                    final = scratch.take(f"in order {name}", shape, like.dtype)
                out = torch.index_select(out, 0, back, out=final)
            gathered[name] = out
        return gathered
