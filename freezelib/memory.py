"""The memory that training a suffix takes, measured the same way for every method."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_memory_bytes(run: Callable[[], object]) -> int:
    """Peak bytes of the tensors that exist at one time because ``run()`` made them.

    Counts storages, so views cost nothing: activations, gradients and temporaries, and optimizer
    state if this is the first step. What existed before (weights, the batch) is not counted;
    neither is scratch space inside an operator.
    """
    with _LiveBytes() as live:
        run()
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Follows the storages that operators return, from their birth to their collection."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        known_before = {id(t.untyped_storage()) for t in _tensors((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            self._add(tensor.untyped_storage(), known_before)
        return out

    def _add(self, storage: torch.UntypedStorage, inputs: set[int]) -> None:
        name, size = id(storage), storage.nbytes()
        if name in self._known or name in inputs:
            return
        self._known.add(name)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._remove, name, size)

    def _remove(self, name: int, size: int) -> None:
        self._known.discard(name)
        self._now -= size


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
