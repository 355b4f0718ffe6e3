"""A prefix that stays frozen, whatever is done to the model around it."""

from __future__ import annotations

import hashlib
from itertools import chain
from operator import itemgetter
from typing import Self

import torch
from torch import Tensor, fx, nn


class FrozenPrefix(nn.Module):
    """A prefix in eval mode for good: no gradients, no moving BatchNorm statistics.

    ``model.train()`` cannot put it back into training mode, and :meth:`assert_unchanged` holds its
    parameters *and buffers* against the digest taken when it was frozen.
    """

    def __init__(self, prefix: nn.Module) -> None:
        super().__init__()
        self.prefix = prefix
        for parameter in prefix.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        super().train(False)
        self.digest = state_digest(prefix)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Feature maps ``[n, *map_shape]`` of images ``[n, c, h, w]``."""
        self.prefix.eval()  # its layers belong to a model too, which may have gone into train mode
        return self.prefix(x)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, also when the model around goes into training mode."""
        return super().train(False)

    def assert_unchanged(self) -> None:
        """Raise if a parameter or buffer moved since the freeze.

        Raises:
            RuntimeError: The digest differs: cached feature maps no longer belong to the prefix.
        """
        if (now := state_digest(self.prefix)) != self.digest:
            raise RuntimeError(
                f"A frozen prefix must not change, but its digest went from {self.digest[:12]} to "
                f"{now[:12]}: keep its parameters out of the optimizer and its buffers untouched."
            )


def state_digest(module: nn.Module) -> str:
    """SHA-256 over the structure, the parameters and the buffers of a module, as hex."""
    digest = hashlib.sha256()
    digest.update(repr(module).encode())  # strides, kernel sizes, eps
    if isinstance(module, fx.GraphModule):
        digest.update(module.code.encode())
    named = chain(  # state_dict() would leave out buffers that are not persistent
        module.named_parameters(remove_duplicate=False),
        module.named_buffers(remove_duplicate=False),
    )
    for name, tensor in sorted(named, key=itemgetter(0)):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
