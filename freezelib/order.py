"""The order of an epoch: which chunks stand in a window together, and which rows make a batch.

Chunks are shuffled, then the samples of a window of chunks. Because samples were dealt to chunks
by a random permutation, any window has the label statistics of the whole set. Everything is a
pure function of (seed, epoch), so there is no state to save and none to drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freezelib.hashing import permutation

Part = tuple[int, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Order:
    """How one rank reads one data set.

    Attributes:
        chunk_sizes: Samples in each chunk.
        batch_size: Samples per batch.
        window: Chunks that are shuffled together; more where they hold less than a batch.
        seed: Of all permutations.
        rank: Of this reader; each reads chunks of its own.
        world_size: Readers.
    """

    chunk_sizes: tuple[int, ...]
    batch_size: int
    window: int
    seed: int
    rank: int = 0
    world_size: int = 1

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch, the same on every rank. A remainder is left out unless it is all.

        Raises:
            ValueError: With several ranks, one of them has less than a batch.
        """
        samples = [sum(map(self.chunk_sizes.__getitem__, self._chunks(epoch, rank)))
                   for rank in range(self.world_size)]  # fmt: skip
        if self.world_size == 1:
            return max(1, samples[0] // self.batch_size)
        if (fewest := min(samples)) < self.batch_size:
            raise ValueError(
                f"Each of {self.world_size} ranks must have at least one batch of "
                f"{self.batch_size}, but one has {fewest} samples: make the batches or the chunks "
                "smaller."
            )
        return fewest // self.batch_size

    def windows(self, epoch: int) -> list[list[int]]:
        """Chunk numbers of each window. Each but the last holds at least a batch."""
        windows: list[list[int]] = []
        held = self.batch_size
        for chunk in self._chunks(epoch, self.rank):
            if held >= self.batch_size and (not windows or len(windows[-1]) >= self.window):
                windows.append([])
                held = 0
            windows[-1].append(chunk)
            held += self.chunk_sizes[chunk]
        return windows

    def batches(self, epoch: int) -> Iterator[list[Part]]:
        """Per batch, the rows to take of each window; a remainder opens the next window's first.

        A batch is spread over at most two windows that follow each other.
        """
        left = self.num_batches(epoch)
        carried: list[Part] = []
        for number, chunks in enumerate(self.windows(epoch)):
            size = sum(self.chunk_sizes[chunk] for chunk in chunks)
            rows = permutation(size, self.seed, epoch, 1, number)
            first = self.batch_size - sum(len(rows) for _, rows in carried)
            for start in range(first - self.batch_size, size, self.batch_size):
                stop = start + self.batch_size
                # Ascending, because a batch's rows are read chunk by chunk anyway.
                parts = [*carried, (number, np.sort(rows[max(start, 0) : stop]))]
                if stop > size:
                    carried = parts
                    break
                carried = []
                yield parts
                left -= 1
                if left == 0:
                    return
        if carried and left:
            yield carried

    def _chunks(self, epoch: int, rank: int) -> list[int]:
        order = permutation(len(self.chunk_sizes), self.seed, epoch, 0)
        return [int(chunk) for chunk in order[rank :: self.world_size]]
