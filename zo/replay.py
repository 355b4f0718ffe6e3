"""A training as the list of its scalars, and back.

All but one number per perturbation follows from the configuration, so four bytes per perturbation
log a training. Replaying them does the same float operations on the same weights: bit for bit the
same result, without one forward. Over a periodic source all of training is moreover one table of
``period`` numbers, which is its checkpoint of a few kilobytes.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from hwmodel.checks import require

if TYPE_CHECKING:
    from zo.optimizer import ZO


def as_logged(slopes: Sequence[float]) -> list[float]:
    """Return the slopes rounded to the float32 that a log keeps, so that it is exact."""
    return array("f", slopes).tolist()


@dataclass
class ScalarLog:
    """What happened at each step.

    Attributes:
        slopes: Estimated directional derivatives, float32, ``queries`` per step.
        rates: ``(step, learning rate per group)`` wherever the rates changed.
        flushes: Steps before which the weights were brought up to date.
    """

    slopes: "array[float]" = field(default_factory=lambda: array("f"))
    rates: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    flushes: list[int] = field(default_factory=list)

    def append(self, step: int, slopes: Sequence[float], rates: tuple[float, ...]) -> None:
        """Log a step."""
        self.slopes.extend(slopes)
        if not self.rates or self.rates[-1][1] != rates:
            self.rates.append((step, rates))

    def state_dict(self) -> dict[str, Any]:
        """Return the log as tensors and lists, which ``torch.save`` keeps without pickling."""
        return {
            "slopes": torch.tensor(self.slopes, dtype=torch.float32),
            "rates": list(self.rates),
            "flushes": list(self.flushes),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "ScalarLog":
        """Return the log of a ``state_dict``."""
        return cls(
            array("f", state["slopes"].tolist()), list(state["rates"]), list(state["flushes"])
        )

    def replay(self, optimizer: "ZO") -> None:
        """Redo the training bit for bit: same weights as after its last step and a flush.

        A step that failed midway and was undone leaves its rounding in weights that are moved in
        place; a replay does not repeat that.

        Args:
            optimizer: A fresh optimizer with the training's settings, on its initial weights.

        Raises:
            ValueError: If the optimizer has already done steps.
        """
        require(
            optimizer.steps == 0,
            law="a replay begins at step 0",
            got=f"an optimizer at step {optimizer.steps}",
            fix="load the initial weights and build a new ZO",
        )
        rates, flushes, width = dict(self.rates), set(self.flushes), optimizer.queries
        for step in range(len(self.slopes) // width):
            if step in flushes:
                optimizer.flush()
            for group, rate in zip(optimizer.param_groups, rates.get(step, ()), strict=False):
                group["lr"] = rate
            optimizer.retrace(self.slopes[step * width : (step + 1) * width])
        optimizer.flush()
