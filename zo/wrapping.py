"""Putting adapted layers in the place of a model's layers."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from hwmodel.checks import require
from zo.adapted import Correlated, Embedded, Materialised, Rows
from zo.forms import Forms, Measured
from zo.quantised import Int8Linear


def offsets_of(model: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Yield the tensors to train on, 8-bit ones included, with their flat offsets."""
    offset = 0
    seen: set[int] = set()
    for module in model.modules():
        for tensor in _own(module).values():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor, offset
                offset += tensor.numel()


def _own(module: nn.Module) -> dict[str, Tensor]:
    if isinstance(module, Int8Linear):
        named = {"weight": module.weight, "bias": module.bias}
    else:
        named = {k: p for k, p in module._parameters.items() if p is None or p.requires_grad}
    return {key: tensor for key, tensor in named.items() if tensor is not None}


@dataclass(frozen=True)
class Wrapping:
    """What it takes to put adapted layers in the place of layers.

    Attributes:
        places: Flat offset of each tensor, by its identity.
        rows: The periodic part.
        correlate_from: As of ``Adapter``.
        forms: What measured layers share.
    """

    places: dict[int, int]
    rows: Rows
    correlate_from: int | None
    forms: Forms

    def replace_in(self, parent: nn.Module) -> None:
        """Replace every layer with weights of its own below ``parent``."""
        require(
            not _own(parent),
            law="a model keeps its weights in its layers",
            got=f"a {type(parent).__name__} with weights of its own",
            fix="wrap it: nn.Sequential(model)",
        )
        for name, child in parent.named_children():
            if _own(child):
                setattr(parent, name, self._adapted(child))
            else:
                self.replace_in(child)

    def _adapted(self, layer: nn.Module) -> nn.Module:
        if isinstance(layer, Int8Linear):
            return self._correlated(layer)
        if isinstance(layer, nn.Embedding):
            return Embedded(layer, weight=self.places[id(layer.weight)], rows=self.rows)
        if not isinstance(layer, nn.Linear) or id(layer.weight) not in self.places:
            return self._materialised(layer)
        if self.correlate_from is None:
            both = self._correlated(layer), self._materialised(layer)
            return Measured(*both, rows=self.rows, forms=self.forms)
        large = layer.weight.numel() >= self.correlate_from
        return self._correlated(layer) if large else self._materialised(layer)

    def _materialised(self, layer: nn.Module) -> Materialised:
        trained = {key: p for key, p in layer.named_parameters() if p.requires_grad}
        offsets = {key: self.places[id(p)] for key, p in trained.items()}
        return Materialised(layer, offsets, self.rows)

    def _correlated(self, layer: nn.Linear | Int8Linear) -> Correlated:
        return Correlated(
            layer,
            n_in=layer.in_features,
            n_out=layer.out_features,
            weight=self.places[id(layer.weight)],
            bias=self.places.get(id(layer.bias)),
            rows=self.rows,
        )
