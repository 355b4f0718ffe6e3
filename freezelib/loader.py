"""Batches: gathered and decoded ahead of the training step, into buffers that are used again."""

from __future__ import annotations

import itertools
from collections.abc import Generator

import torch
from torch import Tensor

from freezelib.augment import Augmentation, Draws
from freezelib.codecs.scratch import Scratch
from freezelib.order import Order, Part
from freezelib.read_ahead import read_ahead
from freezelib.sources import ChunkSource, FrozenImages, ImageChunks, Window

__all__ = ["CacheLoader", "ChunkSource", "FrozenImages", "ImageChunks"]

Batch = tuple[Tensor, Tensor]
_Buffers = tuple[list[Tensor], Scratch]


class CacheLoader:
    """Shuffled float32 batches from a chunk source.

    Order and augmentation are pure functions of (seed, epoch, sample id): they depend neither on
    threads nor on where an epoch is entered.

    Args:
        source: A :class:`~freezelib.cache.FeatureCache`, :class:`ImageChunks` or
            :class:`FrozenImages`.
        batch_size: Samples per batch. The last, smaller batch of an epoch is left out unless it is
            the only one: BatchNorm must not see a batch of a handful.
        seed: Seed of order and augmentation.
        augmentation: What is done to each sample.
        window: Chunks that are shuffled together.
        prefetch: Batches that a thread of its own keeps ready; 0 decodes in the caller's.
        device: Where the batches are; codes travel there and are dequantised there.
        rank: Of this reader; each reads chunks of its own.
        world_size: Readers.

    Raises:
        ValueError: A parameter is out of its range, or the source cannot follow the augmentation.
    """

    def __init__(
        self,
        source: ChunkSource,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        window: int = 8,
        prefetch: int = 2,
        device: str | torch.device = "cpu",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or window < 1 or prefetch < 0:
            raise ValueError(
                "batch_size >= 1, window >= 1 and prefetch >= 0 must hold, but got "
                f"{batch_size}, {window} and {prefetch}."
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"0 <= rank < world_size must hold, but got {rank} and {world_size}.")
        self._source, self._augmentation = source, augmentation or Augmentation()
        source.require(self._augmentation)
        self._prefetch, self._device = prefetch, torch.device(device)
        self._idle: list[_Buffers] = []  # of epochs that are over; fresh memory is slow
        self._order = Order(
            chunk_sizes=source.chunk_sizes,
            batch_size=batch_size,
            window=window,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def num_batches(self, epoch: int = 0) -> int:
        """Batches of an epoch, the same on every rank."""
        return self._order.num_batches(epoch)

    def epoch(self, number: int, *, start: int = 0) -> Generator[Batch, None, None]:
        """The batches ``(inputs [n, *sample_shape], labels [n])`` of one epoch.

        The inputs are the caller's to keep until the next batch is asked for; they are then
        overwritten.

        Args:
            number: Of the epoch.
            start: Batches to leave out at the front, as a training that is resumed has seen them.
        """
        buffers = self._idle.pop() if self._idle else self._buffers()
        batches = self._batches(number, start, buffers)
        try:
            yield from read_ahead(batches, depth=self._prefetch) if self._prefetch else batches
        finally:
            self._idle.append(buffers)

    def _buffers(self) -> _Buffers:
        """One batch with the caller, some ready, one in the making."""
        shape = (self._order.batch_size, *self._source.sample_shape)
        count = self._prefetch + 2
        ring = [torch.empty(shape, device=self._device) for _ in range(count)]
        return ring, Scratch()

    def _batches(self, epoch: int, start: int, buffers: _Buffers) -> Generator[Batch, None, None]:
        chunks = self._order.windows(epoch)
        ring, scratch = itertools.cycle(buffers[0]), buffers[1]
        held: dict[int, tuple[Window, Draws]] = {}
        for parts in itertools.islice(self._order.batches(epoch), start, None):
            for passed in [number for number in held if number < parts[0][0]]:
                del held[passed]
            for number, _ in parts:
                if number not in held:
                    held[number] = self._window(epoch, chunks[number])
            yield self._decode(parts, held, next(ring), scratch)

    def _window(self, epoch: int, chunks: list[int]) -> tuple[Window, Draws]:
        window = self._source.window(chunks, self._augmentation)
        draws = self._augmentation.draw(
            seed=self._order.seed,
            epoch=epoch,
            sample_ids=window.sample_ids,
            stored_views=self._source.stored_views,
        )
        return window, draws

    def _decode(
        self,
        parts: list[Part],
        held: dict[int, tuple[Window, Draws]],
        out: Tensor,
        scratch: Scratch,
    ) -> Batch:
        labels, filled = [], 0
        for number, rows in parts:
            window, draws = held[number]
            here = out[filled : filled + len(rows)]
            window.read_into(rows, draws if draws.idle else draws.take(rows), here, scratch)
            labels.append(window.labels[torch.from_numpy(rows)])
            filled += len(rows)
        whole = labels[0] if len(labels) == 1 else torch.cat(labels)
        return out[:filled], whole.to(self._device)
