"""The canonical flat order of the weights, and its division into blocks.

Every source addresses weights by one flat index: parameter groups in their order, parameters in
theirs, elements row by row, each tensor once however often the model uses it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from hwmodel.checks import require

ParamsT = nn.Module | Iterable[Any]


@dataclass(frozen=True)
class Weight:
    """One tensor at its place in the flat order.

    Attributes:
        tensor: The parameter itself.
        flat: A view of it, shape ``(numel,)``; writing here writes the parameter.
        offset: Flat index of its first element.
        group: Index of its parameter group.
    """

    tensor: Tensor
    flat: Tensor
    offset: int
    group: int


def trainable(params: ParamsT) -> list[Any]:
    """Return what a ``torch.optim.Optimizer`` takes: tensors or group dicts, each tensor once.

    Args:
        params: A module, parameters, ``(name, parameter)`` pairs, or parameter groups. Tensors
            without ``requires_grad`` are frozen and left out.

    Raises:
        ValueError: If nothing is left.
    """
    items: list[Any] = list(params.parameters() if isinstance(params, nn.Module) else params)
    seen: set[int] = set()
    if items and isinstance(items[0], dict):
        items = [{**group, "params": _once(group["params"], seen)} for group in items]
    else:
        items = _once(items, seen)
    require(
        bool(seen),
        law="num_weights >= 1",
        got="no parameter that requires a gradient",
        fix="freeze less: what is frozen is left out",
    )
    return items


def _once(items: Tensor | Iterable[Any], seen: set[int]) -> list[Tensor]:
    tensors = [items] if isinstance(items, Tensor) else list(items)
    kept = []
    for item in tensors:
        tensor = item[1] if isinstance(item, tuple) else item
        if tensor.requires_grad and id(tensor) not in seen:
            seen.add(id(tensor))
            kept.append(tensor)
    return kept


def lay_out(groups: Sequence[dict[str, Any]], *, offset: int = 0) -> list[Weight]:
    """Give every tensor of the groups its flat offset, counted from ``offset``.

    Raises:
        ValueError: If a tensor is not contiguous.
    """
    laid: list[Weight] = []
    for number, group in enumerate(groups):
        for tensor in group["params"]:
            require(
                tensor.is_contiguous(),
                law="every weight is contiguous",
                got=f"a tensor of shape {tuple(tensor.shape)} with strides {tensor.stride()}",
                fix="call p.data = p.data.contiguous() before you build the optimizer",
            )
            laid.append(Weight(tensor, tensor.detach().view(-1), offset, number))
            offset += tensor.numel()
    return laid


@dataclass
class Block:
    """The weights that lie in one block of the flat index.

    Attributes:
        start: Flat index of the block's first number.
        length: Numbers of the block that some weight uses, counted from ``start``.
        views: Pieces of weights.
        spans: For each piece, its first and last-plus-one number within the block.
    """

    start: int
    length: int = 0
    views: list[Tensor] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)


def cut_blocks(weights: Sequence[Weight], size: int) -> list[Block]:
    """Cut weights along a grid of ``size`` numbers laid over the whole flat index."""
    blocks: dict[int, Block] = {}
    for weight in weights:
        at, end = weight.offset, weight.offset + weight.flat.numel()
        while at < end:
            start = at - at % size
            stop = min(end, start + size)
            block = blocks.setdefault(start, Block(start))
            block.views.append(weight.flat[at - weight.offset : stop - weight.offset])
            block.spans.append((at - start, stop - start))
            block.length = max(block.length, stop - start)
            at = stop
    return list(blocks.values())
