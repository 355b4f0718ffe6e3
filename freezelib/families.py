"""Model families that are cut by knowledge: classes that are a chain of segments.

torch.fx cuts whatever it can trace. What it cannot look into (control flow that depends on the
data, layers that torch treats as one piece) can say here of which segments it consists; it is then
cut between any two of them, as a whole model or inside of one, and every cut is verified like any
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
Segment = nn.Module | Callable[[Any], Any]
Segments = Sequence[tuple[str, Segment]]

_FAMILIES: dict[type[nn.Module], Callable[[Any], Segments]] = {}


def register_family(model_class: type[M], segments: Callable[[M], Segments]) -> None:
    """Say of which segments the models of a class consist.

    Holds for the class and for subclasses that inherit its ``forward``.

    Args:
        model_class: Its ``forward`` takes one tensor; called with more, it is kept whole.
        segments: From a model to its named segments, front to back: each takes what the one
            before returns. Functions may stand between modules, but must not use parameters.
            A model that is to be kept whole has none.
    """
    _FAMILIES[model_class] = segments


def segments_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The segments of a module of a registered family; none of any other.

    Raises:
        ValueError: A parameter or buffer belongs to no segment, so that no prefix would hold it,
            or two segments share a name.
    """
    family = next((c for c in type(module).__mro__ if c in _FAMILIES), None)
    if family is None or type(module).forward is not family.forward:
        return []
    chain = [
        (name, segment if isinstance(segment, nn.Module) else _Function(segment))
        for name, segment in _FAMILIES[family](module)
    ]
    if chain:
        _check(module, chain)
    return chain


def _check(module: nn.Module, chain: list[tuple[str, nn.Module]]) -> None:
    names = [name for name, _ in chain]
    if len(set(names)) < len(names):
        raise ValueError(
            f"The segments of {type(module).__name__} need names of their own, but got {names}."
        )
    held = {id(tensor) for _, segment in chain for tensor in _tensors(segment).values()}
    if left := [name for name, tensor in _tensors(module).items() if id(tensor) not in held]:
        raise ValueError(
            f"Every parameter and buffer of {type(module).__name__} must belong to one of its "
            f"segments, but {', '.join(left)} belong to none: make the segment that uses them a "
            "module that holds them."
        )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


class _Function(nn.Module):
    """A segment without parameters."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Any) -> Any:
        return self._function(x)

    def extra_repr(self) -> str:
        return getattr(self._function, "__qualname__", type(self._function).__name__)


def _transformer_encoder(encoder: nn.TransformerEncoder) -> Segments:
    if not encoder.layers[0].self_attn.batch_first:
        return []  # its first dimension is the token, and that of a feature map is the sample
    layers = [(f"layers.{i}", layer) for i, layer in enumerate(encoder.layers)]
    return layers if encoder.norm is None else [*layers, ("norm", encoder.norm)]


register_family(nn.TransformerEncoder, _transformer_encoder)
