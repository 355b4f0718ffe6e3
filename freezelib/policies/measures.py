"""What can be seen of the blocks of a model while it trains.

A measure sees every step after its backward pass, and reports one number per block at the end of
an epoch. All of them are deterministic and have a state, so that a training that was killed goes
on with the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from freezelib.cuts import Cut, tap
from freezelib.policies.base import Observed

PLASTICITY_LAG = 3  # epochs between a block's output and the snapshot that it is held against
_PROBE_VALUES = 1024  # per image and block: enough for a correlation, and small in a checkpoint

Blocks = Sequence[Sequence[str]]


class Measure(Protocol):
    """One field of :class:`~freezelib.policies.EpochStats`."""

    def after_backward(self) -> None:
        """See the gradients of a step."""
        ...

    def end_epoch(self) -> Observed:
        """One number per block, or None if there is nothing yet to compare with."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What the next numbers depend on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


class GradientNorm:
    """L1 norm of the gradient of each block, summed over the steps of an epoch."""

    def __init__(self, model: nn.Module, blocks: Blocks) -> None:
        self._blocks = _parameters(model, blocks)
        device = next(model.parameters()).device  # where the sums stay: a step must not wait
        self._sums = torch.zeros(len(blocks), device=device)

    @torch.no_grad()
    def after_backward(self) -> None:
        """See :class:`Measure`."""
        for number, parameters in enumerate(self._blocks):
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                self._sums[number] += torch.stack(torch._foreach_norm(gradients, ord=1)).sum()

    def end_epoch(self) -> Observed:
        """See :class:`Measure`."""
        sums = tuple(self._sums.tolist())
        self._sums.zero_()
        return sums

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Measure`."""
        return {"sums": self._sums.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Measure`."""
        self._sums.copy_(state["sums"])


class WeightDelta:
    """How far an epoch moved the weights of each block, as a share of their L2 norm."""

    def __init__(self, model: nn.Module, blocks: Blocks) -> None:
        self._blocks = _parameters(model, blocks)
        self._before = self._copies()

    def after_backward(self) -> None:
        """See :class:`Measure`."""

    @torch.no_grad()
    def end_epoch(self) -> Observed:
        """See :class:`Measure`."""
        shares = []
        for now, before in zip(self._blocks, self._before, strict=True):
            moved = sum(float((a - b).square().sum()) for a, b in zip(now, before, strict=True))
            size = sum(float(a.square().sum()) for a in now)
            shares.append((moved / size) ** 0.5 if size else 0.0)
        self._before = self._copies()
        return tuple(shares)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Measure`."""
        return {"before": [[p.clone() for p in block] for block in self._before]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Measure`."""
        for mine, theirs in zip(self._before, state["before"], strict=True):
            for a, b in zip(mine, theirs, strict=True):
                a.copy_(b)

    def _copies(self) -> list[list[Tensor]]:
        return [[p.detach().clone() for p in block] for block in self._blocks]


class Plasticity:
    """Centred cosine distance between the output of each block and a snapshot some epochs old.

    Measured in eval mode on the same images each time. The distance knows no scale, so that it
    means the same at every depth and width. A snapshot keeps evenly spaced values of each output.
    """

    def __init__(self, model: nn.Module, cuts: Sequence[Cut], probe: Tensor) -> None:
        self._outputs = tap(model, cuts)
        self._probe = probe.to(next(model.parameters()).device)
        self._snapshots: list[list[Tensor]] = []

    def after_backward(self) -> None:
        """See :class:`Measure`."""

    @torch.no_grad()
    def end_epoch(self) -> Observed:
        """See :class:`Measure`."""
        now = [_spread(output) for output in self._outputs(self._probe)]
        self._snapshots.append(now)
        if len(self._snapshots) <= PLASTICITY_LAG:
            return None
        then = self._snapshots.pop(0)
        return tuple(_distance(a, b) for a, b in zip(now, then, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Measure`."""
        return {"snapshots": [list(outputs) for outputs in self._snapshots]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Measure`."""
        self._snapshots = [list(outputs) for outputs in state["snapshots"]]


def _parameters(model: nn.Module, blocks: Blocks) -> list[list[nn.Parameter]]:
    by_name = dict(model.named_parameters())
    return [[by_name[name] for name in block] for block in blocks]


def _spread(output: Tensor) -> Tensor:
    """Evenly spaced values of each image's output, ``float32 [n, at most _PROBE_VALUES]``."""
    flat = output.flatten(1).float().cpu()
    return flat[:, :: -(-flat.shape[1] // _PROBE_VALUES)].clone()


def _distance(a: Tensor, b: Tensor) -> float:
    """One minus the correlation of two outputs; 0 if nothing moved."""
    if torch.equal(a, b):
        return 0.0
    a, b = (a - a.mean()).double(), (b - b.mean()).double()
    norm = float(a.norm() * b.norm())
    return 1.0 - float((a * b).sum()) / norm if norm else 1.0
