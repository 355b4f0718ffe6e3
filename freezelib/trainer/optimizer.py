"""SGD whose parameters have names: freezing removes them by it, and resuming finds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from freezelib.trainer.config import TrainerConfig


class NamedSGD:
    """SGD over the parameters of a model that are still trained.

    Args:
        model: Its parameters are the ones that may be trained.
        config: Learning rate, momentum, weight decay.
    """

    def __init__(self, model: nn.Module, config: TrainerConfig) -> None:
        self._parameters = dict(model.named_parameters())
        self._config = config
        self._optimizer = torch.optim.SGD(
            self._parameters.values(),
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.momentum > 0,
        )

    @property
    def names(self) -> list[str]:
        """Parameters that a step moves."""
        trained = {id(p) for p in self._optimizer.param_groups[0]["params"]}
        return [name for name, p in self._parameters.items() if id(p) in trained]

    def train_only(self, names: Iterable[str]) -> None:
        """Keep the state of these parameters, and forget all others.

        A parameter that comes back after it was frozen starts without momentum.
        """
        kept = [self._parameters[name] for name in names]
        self._optimizer.param_groups[0]["params"] = kept
        trained = {id(parameter) for parameter in kept}
        for parameter in self._parameters.values():
            if id(parameter) not in trained:
                self._optimizer.state.pop(parameter, None)
                parameter.grad = None
            parameter.requires_grad_(id(parameter) in trained)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._optimizer.zero_grad()

    def step(self, *, progress: float) -> None:
        """Move along the gradients.

        Args:
            progress: Share of the whole training that lies behind, which sets the learning rate.
        """
        self._optimizer.param_groups[0]["lr"] = (
            self._config.lr * 0.5 * (1 + math.cos(math.pi * progress))
        )
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The momentum of each trained parameter, by name."""
        return {
            name: self._optimizer.state[self._parameters[name]].get("momentum_buffer")
            for name in self.names
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Train the parameters that are named, with the momentum that they had."""
        self.train_only(state)
        for name, momentum in state.items():
            if momentum is not None:
                self._optimizer.state[self._parameters[name]]["momentum_buffer"] = momentum
