"""Watches a model train, and measures what a policy needs of it and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from freezelib.cuts import Cut, blocks
from freezelib.policies.base import Observed
from freezelib.policies.measures import GradientNorm, Measure, Plasticity, WeightDelta


class Observer:
    """Measures what a policy needs, block by block.

    Args:
        model: The model that trains.
        cuts: Its freeze points, which bound the blocks.
        probe: Images ``[n, ...]`` on which plasticity is measured; 64 are plenty.
        needs: The policy's ``needs``.
    """

    def __init__(
        self, model: nn.Module, cuts: Sequence[Cut], probe: Tensor, needs: Collection[str]
    ) -> None:
        self._steps = 0
        self._measures: dict[str, Measure] = {}
        if "gradient_norm" in needs:
            self._measures["gradient_norm"] = GradientNorm(model, blocks(model, cuts))
        if "weight_delta" in needs:
            self._measures["weight_delta"] = WeightDelta(model, blocks(model, cuts))
        if "plasticity" in needs:
            self._measures["plasticity"] = Plasticity(model, cuts, probe)
        assert set(self._measures) == set(needs)

    def after_backward(self) -> None:
        """Call at each step, while the gradients are there."""
        self._steps += 1
        for measure in self._measures.values():
            measure.after_backward()

    def end_epoch(self) -> dict[str, Observed]:
        """The fields of :class:`~freezelib.policies.EpochStats` for the epoch that ends.

        Before the first step there is nothing to see, and every field is None.
        """
        if self._steps == 0:
            return dict.fromkeys(self._measures)
        self._steps = 0
        return {name: measure.end_epoch() for name, measure in self._measures.items()}

    def state_dict(self) -> dict[str, Any]:
        """What the next numbers depend on; fit for ``torch.load(weights_only=True)``."""
        measures = {name: measure.state_dict() for name, measure in self._measures.items()}
        return {"steps": self._steps, "measures": measures}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._steps = state["steps"]
        for name, measure in self._measures.items():
            measure.load_state_dict(state["measures"][name])
