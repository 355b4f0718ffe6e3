"""How much of an error in a channel the suffix takes up at once: the weights it meets first."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

_ADDITIONS = (operator.add, operator.iadd, torch.add)
_BY_CHANNEL = (torch.relu, functional.relu, torch.mean, torch.flatten)
_BY_CHANNEL_METHODS = ("mean", "relu", "flatten", "contiguous", "clone")
_BY_CHANNEL_MODULES = (
    nn.Identity,
    nn.ReLU,
    nn.Dropout,
    nn.Flatten,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)


def next_layer_gain(suffix: fx.GraphModule, num_channels: int) -> Tensor:
    """Squared norm, per channel of the feature map, of the weights that read it.

    All convolutions and linear layers count that the map reaches through nothing but operations
    that keep channels apart; a sum that takes it up as it is (a shortcut) counts 1.

    Args:
        suffix: As of :func:`~freezelib.cuts.split`.
        num_channels: Channels of the feature map.

    Returns:
        ``float32 [num_channels]``.

    Raises:
        ValueError: The map reaches no weights this way.
    """
    placeholder = next(node for node in suffix.graph.nodes if node.op == "placeholder")
    parts = list(_gains(suffix, placeholder, num_channels))
    if not parts:
        raise ValueError(
            "The feature map must reach a convolution, a linear layer or a sum through operations "
            f"that keep channels apart, but {[n.name for n in placeholder.users]} lead nowhere: "
            "leave channel_gain empty."
        )
    return torch.stack(parts).sum(0)


def _gains(suffix: fx.GraphModule, node: fx.Node, num_channels: int) -> Iterator[Tensor]:
    for user in node.users:
        module = suffix.get_submodule(str(user.target)) if user.op == "call_module" else None
        if _reads_channels(module, num_channels):
            yield _weights(module, num_channels)
        elif user.target in _ADDITIONS:
            yield torch.ones(num_channels)
        elif (
            isinstance(module, _BY_CHANNEL_MODULES)
            or user.target in _BY_CHANNEL
            or (user.op == "call_method" and user.target in _BY_CHANNEL_METHODS)
        ):
            yield from _gains(suffix, user, num_channels)


def _reads_channels(
    module: nn.Module | None, num_channels: int
) -> TypeGuard[nn.Conv2d | nn.Linear]:
    """Whether each of a layer's inputs belongs to one channel of the map."""
    if isinstance(module, nn.Linear):
        return module.in_features % num_channels == 0
    return isinstance(module, nn.Conv2d) and module.in_channels == num_channels


def _weights(module: nn.Conv2d | nn.Linear, num_channels: int) -> Tensor:
    """Squares of all weights that multiply each channel."""
    squares = module.weight.detach().float().square()
    if isinstance(module, nn.Linear):  # of a flattened map: a channel's places lie side by side
        return squares.sum(0).view(num_channels, -1).sum(1)
    by_group = squares.view(module.groups, -1, *squares.shape[1:])  # [groups, out, C/groups, ...]
    return by_group.sum(dim=(1, 3, 4)).flatten()
