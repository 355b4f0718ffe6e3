"""Data-parallel training of what is not frozen. With one process, nothing happens here."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")


def is_distributed() -> bool:
    """Whether a process group was made."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Of this process."""
    return distributed.get_rank() if is_distributed() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if is_distributed() else 1


def parallel(network: nn.Module) -> nn.Module:
    """The network with gradients averaged over the ranks.

    Only what is trained is wrapped, anew at each freeze, so there are no unused parameters.
    """
    return nn.parallel.DistributedDataParallel(network) if is_distributed() else network


def agree(value: T) -> T:
    """What the first rank says."""
    if not is_distributed():
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


@torch.no_grad()
def agree_on_buffers(model: nn.Module) -> None:
    """Give every rank the first one's BatchNorm statistics: the digest of a prefix covers them."""
    if is_distributed():
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)


def wait_for_all() -> None:
    """Return when every rank is here."""
    if is_distributed():
        distributed.barrier()
