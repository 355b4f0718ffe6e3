"""What batches are read from: a feature cache, or the images in the same chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freezelib.augment import Augmentation, Draws
from freezelib.codecs.scratch import Scratch
from freezelib.frozen import FrozenPrefix
from freezelib.hashing import permutation
from freezelib.images import ImageSet


class Window(Protocol):
    """Samples of some chunks, side by side."""

    sample_ids: NDArray[np.int64]
    labels: Tensor

    def read_into(
        self, rows: NDArray[np.int64], draws: Draws, out: Tensor, scratch: Scratch
    ) -> None:
        """Write samples, each augmented as drawn, into ``out``."""
        ...


class ChunkSource(Protocol):
    """A data set in chunks."""

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """Samples in each chunk."""
        ...

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    @property
    def stored_views(self) -> int:
        """How many versions of each sample there are to choose from."""
        ...

    def require(self, augmentation: Augmentation) -> None:
        """Refuse an augmentation that these samples cannot follow."""
        ...

    def window(self, numbers: Sequence[int], augmentation: Augmentation) -> Window:
        """Some chunks, ready to be read."""
        ...


class ImageChunks:
    """The images in the same chunks as a cache of them, for training without one.

    Here every augmentation is exact: it acts on the image.

    Args:
        data: The images.
        chunk_samples: Samples per chunk.
        order_seed: Seed of the permutation that deals samples to chunks.
    """

    stored_views = 1

    def __init__(self, data: ImageSet, *, chunk_samples: int = 512, order_seed: int = 0) -> None:
        self._data = data
        order = permutation(len(data), order_seed)
        self._rows = [order[i : i + chunk_samples] for i in range(0, len(order), chunk_samples)]

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """Samples in each chunk."""
        return tuple(map(len, self._rows))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return tuple(self._data.images.shape[1:])

    def require(self, augmentation: Augmentation) -> None:
        """Images can follow all of them."""

    def window(self, numbers: Sequence[int], augmentation: Augmentation) -> Window:
        """Some chunks; the images stay where they are."""
        ids = np.concatenate([self._rows[number] for number in numbers])
        return _ImageWindow(self._data, ids, augmentation)


class _ImageWindow:
    def __init__(
        self, data: ImageSet, sample_ids: NDArray[np.int64], augmentation: Augmentation
    ) -> None:
        self.sample_ids = sample_ids
        self.labels = data.labels[torch.from_numpy(sample_ids)]
        self._data, self._augmentation = data, augmentation

    def read_into(
        self, rows: NDArray[np.int64], draws: Draws, out: Tensor, scratch: Scratch
    ) -> None:
        images = self._data.read(torch.from_numpy(self.sample_ids[rows]))
        out.copy_(self._augmentation.apply_to_images(images, draws))


class FrozenImages(ImageChunks):
    """Feature maps made anew of each augmented image: freezing without a cache.

    It costs the prefix's forward pass per sample and epoch, and is what a cache is judged by.

    Args:
        data: The images.
        prefix: The frozen prefix.
        chunk_samples: Samples per chunk.
        order_seed: Seed of the permutation that deals samples to chunks.
    """

    def __init__(
        self,
        data: ImageSet,
        prefix: FrozenPrefix,
        *,
        chunk_samples: int = 512,
        order_seed: int = 0,
    ) -> None:
        super().__init__(data, chunk_samples=chunk_samples, order_seed=order_seed)
        self._prefix = prefix
        self._map_shape = tuple(prefix(data.read(slice(0, 1))).shape[1:])

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one feature map."""
        return self._map_shape

    def window(self, numbers: Sequence[int], augmentation: Augmentation) -> Window:
        """Some chunks, whose maps are made when they are read."""
        images = super().window(numbers, augmentation)
        return _FrozenWindow(images, self._prefix, super().sample_shape)


class _FrozenWindow:
    def __init__(self, images: Window, prefix: FrozenPrefix, image_shape: tuple[int, ...]) -> None:
        self.sample_ids, self.labels = images.sample_ids, images.labels
        self._images, self._prefix, self._image_shape = images, prefix, image_shape

    def read_into(
        self, rows: NDArray[np.int64], draws: Draws, out: Tensor, scratch: Scratch
    ) -> None:
        shape = (len(rows), *self._image_shape)
        images = scratch.take("images", shape, torch.float32, out.device)
        self._images.read_into(rows, draws, images, scratch)
        out.copy_(self._prefix(images))
