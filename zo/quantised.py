"""A linear layer with 8-bit weights, to train on top of by an adapter."""

import torch
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """``x W^T + b`` with ``W`` as int8 and one float scale per output.

    Its weights are buffers: nothing can train them, an adapter can only add to them.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
        self.register_buffer("weight", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale.squeeze(1))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return the product, shape ``(..., out_features)``."""
        output = nn.functional.linear(x, self.weight.to(x.dtype)) * self.scale
        return output if self.bias is None else output + self.bias


def quantise(model: nn.Module) -> nn.Module:
    """Replace every ``nn.Linear`` below ``model`` by its 8-bit form, and return ``model``."""
    for name, child in model.named_children():
        if type(child) is nn.Linear:
            setattr(model, name, Int8Linear(child))
        else:
            quantise(child)
    return model
