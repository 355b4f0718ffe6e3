"""Models by address: ``"resnet20"``, ``"resnet8:width=8"``, ``"torchvision/resnet18"``."""

from __future__ import annotations

from torch import nn

from freezelib.addresses import parse_address, unknown
from freezelib.models.resnet_cifar import CifarResNet

__all__ = ["CifarResNet", "get_model"]

_CIFAR_BLOCKS = {"resnet8": 1, "resnet14": 2, "resnet20": 3, "resnet32": 5, "resnet56": 9}
_TORCHVISION = "torchvision/"


def get_model(address: str, *, in_channels: int, num_classes: int) -> nn.Module:
    """Build a freshly initialised model (torch's global generator draws the weights).

    Args:
        address: A CIFAR ResNet with an optional width, or a torchvision builder.
        in_channels: Channels of the images.
        num_classes: Width of the logits.

    Raises:
        ValueError: The name is unknown, a parameter is not the model's, or a torchvision model is
            asked for images that do not have three channels.
    """
    name, parameters = parse_address(address)
    if name.startswith(_TORCHVISION):
        return _torchvision_model(name, parameters, in_channels, num_classes)
    if name not in _CIFAR_BLOCKS:
        raise unknown("model", name, [*_CIFAR_BLOCKS, _TORCHVISION + "resnet18"])
    width = parameters.pop("width", 16)
    if parameters or not isinstance(width, int) or width < 1:
        raise ValueError(f"{name} takes width=INT with width >= 1, but got {address!r}.")
    return CifarResNet(
        num_blocks=_CIFAR_BLOCKS[name],
        width=width,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def _torchvision_model(
    name: str, parameters: dict[str, int | float | str], in_channels: int, num_classes: int
) -> nn.Module:
    from freezelib.vision import models

    builder = name.removeprefix(_TORCHVISION)
    if builder not in models.list_models(module=models):
        raise unknown("torchvision model", builder, models.list_models(module=models))
    if in_channels != 3:
        raise ValueError(
            f"torchvision models take images of 3 channels, but got {in_channels=}: "
            "repeat the channel or choose a CIFAR ResNet."
        )
    return models.get_model(builder, weights=None, num_classes=num_classes, **parameters)
