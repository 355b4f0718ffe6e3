"""Batches from chunks: the order of an epoch, and the views of its samples.

Chunks are shuffled, then the samples of a window of chunks. Because samples were dealt to chunks
by a random permutation, any window has the label statistics of the whole set. Order and views are
pure functions of (seed, epoch, sample id): no state, so nothing to save and nothing to drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment import View, assign_views
from freezelib.hashing import permutation
from freezelib.images import ImageSet


class Chunk(Protocol):
    """Samples that are stored together."""

    sample_ids: NDArray[np.int64]
    labels: Tensor

    def read_into(self, rows: NDArray[np.int64], views: NDArray[np.int64], out: Tensor) -> None:
        """Write samples, each under its view, into ``out``."""
        ...


class ChunkSource(Protocol):
    """A data set in chunks: a feature cache, or the images themselves."""

    views: tuple[View, ...]

    @property
    def num_chunks(self) -> int:
        """How many chunks there are."""
        ...

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    def chunk(self, number: int) -> Chunk:
        """One of them."""
        ...


class ImageChunks:
    """The images in the same chunks as a cache of them, for training without one.

    Here every view is exact: it acts on the image.
    """

    def __init__(
        self, data: ImageSet, *, views: tuple[View, ...], chunk_samples: int, order_seed: int
    ) -> None:
        self.views = views
        self._data = data
        order = permutation(len(data), order_seed)
        self._rows = [order[i : i + chunk_samples] for i in range(0, len(order), chunk_samples)]

    @property
    def num_chunks(self) -> int:
        """How many chunks there are."""
        return len(self._rows)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return tuple(self._data.images.shape[1:])

    def chunk(self, number: int) -> _ImageChunk:
        """One of them."""
        return _ImageChunk(self._data, self._rows[number], self.views)


class _ImageChunk:
    def __init__(
        self, data: ImageSet, sample_ids: NDArray[np.int64], views: tuple[View, ...]
    ) -> None:
        self.sample_ids = sample_ids
        self.labels = data.labels[torch.from_numpy(sample_ids)]
        self._data, self._views = data, views

    def read_into(self, rows: NDArray[np.int64], views: NDArray[np.int64], out: Tensor) -> None:
        out.copy_(self._data.read(torch.from_numpy(self.sample_ids[rows])))
        for number, view in enumerate(self._views, start=1):
            taken = torch.from_numpy(np.flatnonzero(views == number))
            if len(taken):
                out[taken] = view.apply(out[taken])


class CacheLoader:
    """Shuffled float32 batches from a chunk source.

    Args:
        source: A :class:`~freezelib.cache.FeatureCache` or :class:`ImageChunks`.
        batch_size: Samples per batch. The last, smaller batch of an epoch is left out unless it is
            the only one: BatchNorm must not see a batch of a handful.
        seed: Seed of order and views.
        window: Chunks that are shuffled together.
        view_probability: Share of samples that take one of the source's views.
    """

    def __init__(
        self,
        source: ChunkSource,
        *,
        batch_size: int,
        seed: int,
        window: int = 8,
        view_probability: float = 0.5,
    ) -> None:
        if batch_size < 1 or window < 1:
            raise ValueError(
                f"batch_size and window must be at least 1, but got {batch_size} and {window}."
            )
        if not 0 <= view_probability <= 1:
            raise ValueError(f"0 <= view_probability <= 1 must hold, but got {view_probability}.")
        self._source, self._batch_size, self._seed = source, batch_size, seed
        self._window, self._view_probability = window, view_probability

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches ``(inputs [n, *sample_shape], labels [n])`` of one epoch.

        The inputs are the caller's to keep until the next batch is asked for; they are then
        overwritten.
        """
        buffer = torch.empty(self._batch_size, *self._source.sample_shape)
        emitted = False
        for samples in self._batches(number):
            size = sum(len(rows) for _, rows in samples)
            if size < self._batch_size and emitted:
                return
            yield self._read(samples, number, buffer[:size])
            emitted = True

    def _batches(self, epoch: int) -> Iterator[list[tuple[Chunk, NDArray[np.int64]]]]:
        """Per batch, the rows to take of each chunk. A remainder goes into the next window."""
        order = permutation(self._source.num_chunks, self._seed, epoch, 0)
        carried: list[tuple[Chunk, NDArray[np.int64]]] = []
        for start in range(0, len(order), self._window):
            chunks = [self._source.chunk(int(n)) for n in order[start : start + self._window]]
            pool = carried + [(chunk, np.arange(len(chunk.labels))) for chunk in chunks]
            owner = np.repeat(np.arange(len(pool)), [len(rows) for _, rows in pool])
            row = np.concatenate([rows for _, rows in pool])
            shuffled = permutation(len(row), self._seed, epoch, 1, start)
            whole = len(row) // self._batch_size * self._batch_size
            for first in range(0, whole, self._batch_size):
                yield _by_chunk(pool, owner, row, shuffled[first : first + self._batch_size])
            carried = _by_chunk(pool, owner, row, shuffled[whole:])
        if carried:
            yield carried

    def _read(
        self, samples: list[tuple[Chunk, NDArray[np.int64]]], epoch: int, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        labels, filled = [], 0
        for chunk, rows in samples:
            views = assign_views(
                seed=self._seed,
                epoch=epoch,
                sample_ids=chunk.sample_ids[rows],
                num_views=len(self._source.views),
                probability=self._view_probability,
            )
            chunk.read_into(rows, views, out[filled : filled + len(rows)])
            labels.append(chunk.labels[torch.from_numpy(rows)])
            filled += len(rows)
        return out, torch.cat(labels)


def _by_chunk(
    pool: list[tuple[Chunk, NDArray[np.int64]]],
    owner: NDArray[np.int64],
    row: NDArray[np.int64],
    picked: NDArray[np.int64],
) -> list[tuple[Chunk, NDArray[np.int64]]]:
    taken = [(chunk, row[picked[owner[picked] == i]]) for i, (chunk, _) in enumerate(pool)]
    return [(chunk, rows) for chunk, rows in taken if len(rows)]
