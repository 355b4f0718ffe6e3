"""What each node of a traced model makes, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from freezelib.modes import eval_mode


@dataclass(frozen=True)
class Work:
    """What a node does with a batch.

    Attributes:
        macs: Multiply-accumulates of the node.
        shape: Of its output without the batch dimension; None if that is no tensor of a batch.
        is_tensor: Whether its output is any tensor at all.
    """

    macs: float
    shape: torch.Size | None
    is_tensor: bool


def measure(traced: fx.GraphModule, example_input: Tensor) -> dict[fx.Node, Work]:
    """Run a graph node by node, in eval mode.

    Raises:
        ValueError: The model takes no other number of samples than that of the example.
    """
    with eval_mode(traced), torch.no_grad():
        counted = _Meter(traced)
        counted.count(example_input)
        other = _Meter(traced)  # what has as many rows as there are samples now has so always
        fewer = example_input[:1] if len(example_input) > 1 else torch.cat([example_input] * 2)
        try:
            other.run(fewer)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"A model to be cut must take any number of samples, but at {len(fewer)} instead "
                f"of {len(example_input)} it fails: {error}"
            ) from error
    sizes = len(example_input), len(fewer)
    return {
        node: Work(
            macs=counted.macs[node],
            shape=_per_sample(counted.shapes.get(node), other.shapes.get(node), sizes),
            is_tensor=node in counted.shapes,
        )
        for node in traced.graph.nodes
    }


def _per_sample(
    one: torch.Size | None, other: torch.Size | None, sizes: tuple[int, int]
) -> torch.Size | None:
    """The shape behind the batch dimension, if that is the first and the only one to vary."""
    if not one or not other or (one[0], other[0]) != sizes or one[1:] != other[1:]:
        return None
    return one[1:]


class _Meter(fx.Interpreter):
    """Notes shapes and operations node by node."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, torch.Size] = {}
        self.macs: dict[fx.Node, float] = {}
        self._counter: FlopCounterMode | None = None

    def count(self, x: Tensor) -> None:
        """Run with operations counted.

        The fused attention of inference is a single operator that nobody counts: it is taken
        apart into the products that it is made of.
        """
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as self._counter:
                self.run(x)
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        before = self._counter.get_total_flops() if self._counter else 0
        output = super().run_node(n)
        if self._counter:
            self.macs[n] = (self._counter.get_total_flops() - before) / 2
        if isinstance(output, Tensor):
            self.shapes[n] = output.shape
        return output
