"""The Gaussian numbers of the reference implementation, for comparisons on equal numbers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zo.addresses import make_spec
from zo.sources.counter import mix
from zo.sources.fresh import Gaussian
from zo.sweep import Filler


class MezoGaussian(Gaussian):
    """Gaussian numbers in the order in which MeZO draws them: one seed, tensor by tensor.

    Under ``torch.manual_seed(source.torch_seed(token))`` a loop of ``torch.normal`` over the
    parameters draws these very numbers. The order allows no random access, so a sweep holds one
    perturbation of all weights: a source for comparisons, not for large models.

    Args:
        seed: Which training.
    """

    def __init__(self, seed: int = 0) -> None:
        self.spec = make_spec("mezo_gaussian", seed=seed)
        self._seed = seed

    def torch_seed(self, token: int) -> int:
        """Return the seed of a perturbation, below 10^9 as MeZO draws it."""
        return mix(self._seed, token) % 10**9

    def whole(self, token: int) -> Tensor:
        """Return a perturbation, shape ``(num_weights,)``."""
        generator = torch.Generator().manual_seed(self.torch_seed(token))
        drawn = [torch.normal(0.0, 1.0, (size,), generator=generator) for size in self.sizes]
        return torch.cat(drawn)

    def codes(self, token: int, start: int, length: int) -> NDArray[Any]:
        """Return float32 numbers; see ``Source.codes``."""
        numbers: NDArray[np.float32] = self.whole(token).numpy()
        return numbers[start : start + length]

    def filler(self, dtype: torch.dtype, device: torch.device) -> "WholeFiller":  # type: ignore[override]
        """Return the filler for tensors of this kind."""
        return WholeFiller(self, dtype, device)


class WholeFiller(Filler):
    """Fills one block that holds all weights."""

    def __init__(self, source: MezoGaussian, dtype: torch.dtype, device: torch.device) -> None:
        self.block = source.dim
        super().__init__(dtype, device, room=source.dim)
        self._whole = source.whole

    def add(self, out: Tensor, token: int, start: int, coef: float) -> None:
        """Draw a perturbation and add as much of it as is asked for."""
        out.add_(self._whole(token)[: out.numel()].to(out.device), alpha=coef)
