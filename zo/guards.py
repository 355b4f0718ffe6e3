"""What must stay as it is while an optimizer counts on it, checked at every step.

The checks compare integers and flags that were noted at construction, so they cost microseconds.
"""

import math
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from hwmodel.checks import require
from zo.weights import Weight


def refuse_half(weights: Sequence[Weight]) -> None:
    """Refuse weights in which a perturbation would be rounded away.

    Raises:
        ValueError: If a weight is not float32 or float64.
    """
    for weight in weights:
        require(
            weight.tensor.dtype in (torch.float32, torch.float64),
            law="weights that are perturbed in place are float32 or float64",
            got=f"a weight of {weight.tensor.dtype}, shape {tuple(weight.tensor.shape)}",
            fix="call model.float(), or restore='master' or 'delta': half precision rounds most "
            "steps away and drifts by several eps within a thousand steps",
        )


def refuse_decay(groups: Sequence[dict[str, Any]]) -> None:
    """Refuse to shrink fixed-point weights: a fraction of one is not on its grid.

    Raises:
        ValueError: If a parameter group has a weight decay.
    """
    for number, group in enumerate(groups):
        require(
            group["weight_decay"] == 0,
            law="fixed-point weights have no weight decay",
            got=f"weight_decay={group['weight_decay']} in parameter group {number}",
            fix="take weight_decay=0, or restore='lazy', 'master' or 'delta'",
        )


class Guards:
    """Notices what must not change while an optimizer counts on it.

    Of a module it can tell more than of bare parameters: parts that were added after construction,
    and running statistics that would move between the forwards of a step.
    """

    def __init__(self, weights: Sequence[Weight], module: nn.Module | None) -> None:
        self._noted = [(weight.tensor, weight.tensor.data_ptr()) for weight in weights]
        modules = [] if module is None else list(module.modules())
        self._norms = [m for m in modules if isinstance(m, _NormBase) and m.track_running_stats]
        self._buffers = [b for m in modules for b in m.buffers(recurse=False)]
        parts: list[Sized] = [part for m in modules for part in (m._parameters, m._modules)]
        self._sizes = [(part, len(part)) for part in parts]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Check before a step what could spoil it, and after it what its forwards changed.

        Raises:
            ValueError: If weights were frozen, moved or added, a normalisation would learn, or a
                buffer was written.
        """
        self._check_weights()
        self._check_module()
        before = self._writes()
        yield
        require(
            before == self._writes(),
            law="no buffer changes during a step",
            got="a buffer that a forward wrote to",
            fix="put the module that owns it in eval mode: the losses of a step must differ by "
            "the perturbation alone",
        )

    def _check_weights(self) -> None:
        for tensor, address in self._noted:
            if not tensor.requires_grad or tensor.data_ptr() != address:
                raise ValueError(
                    "`the weights stay those of construction` must hold, but one of shape "
                    f"{tuple(tensor.shape)} was frozen or moved: build a new ZO after freezing, "
                    "moving or replacing weights"
                )

    def _check_module(self) -> None:
        if any(len(part) != size for part, size in self._sizes):
            raise ValueError(
                "`a module keeps its parameters` must hold, but some were added or removed after "
                "the optimizer was built: build a new ZO for the changed module"
            )
        for norm in self._norms:
            if norm.training:
                raise ValueError(
                    "`running statistics rest during a step` must hold, but a "
                    f"{type(norm).__name__} is in train mode and both forwards would move it: "
                    "call eval() on it, or on the whole module"
                )

    def _writes(self) -> list[int]:
        return [buffer._version for buffer in self._buffers]


class DivergedError(ValueError):
    """A loss was not finite; the weights are back where they were before the step."""


def refuse_infinite(measured: Sequence[float], *, step: int, lr: float) -> None:
    """Raise ``DivergedError`` unless all losses and slopes are finite."""
    if not all(map(math.isfinite, measured)):
        raise DivergedError(
            f"`losses and slopes are finite` must hold, but step {step} measured "
            f"{list(measured)} at lr={lr:g}: lower lr (a third is a good next try), or check the "
            "batch"
        )


def as_loss(value: float | Tensor) -> float:
    """Return the closure's answer as a number.

    Raises:
        ValueError: If it is neither a number nor a tensor of one element.
    """
    single = isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)
    require(
        single,
        law="closure() returns one number",
        got=f"{type(value).__name__} of shape {tuple(getattr(value, 'shape', ()))}",
        fix="return the mean loss of the batch",
    )
    return float(value.item() if isinstance(value, Tensor) else value)
