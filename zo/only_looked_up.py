"""Whether a table is read in no other way than by looking rows up.

What is added to looked-up rows is missing wherever else the table is used: in a head that shares
it, above all. The structure of a module shows most such uses, a watch over one forward the rest.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hwmodel.checks import require
from zo.sources.base import Source
from zo.sources.periodic import Periodic
from zo.weights import Weight

LAW = "a table in lookups is only read by looking rows up"

FIX = "leave this embedding out of lookups: its table is then perturbed in place"

LIKE = re.compile(r"aten::(\w+_like|new_\w+)")
"""Operators that ask for a tensor's kind and read no value."""


def check_source(source: Source, *, scope: str, restore: str) -> None:
    """Refuse settings under which no window of a small table is a row's perturbation.

    Raises:
        ValueError: If the source is not periodic, each tensor has its own scale, or weights are
            restored from a copy.
    """
    fix = "drop lookups, or take a pool or a bank, scope='global' and restore='lazy'"
    laws = {
        "the source is periodic": (isinstance(source, Periodic), f"source={source.spec}"),
        "scope == 'global'": (scope == "global", f"{scope=}"),
        "restore in ['eager', 'lazy']": (restore in ("eager", "lazy"), f"{restore=}"),
    }
    for law, (holds, got) in laws.items():
        require(holds, law=f"with lookups, {law}", got=got, fix=fix)


def check_embeddings(
    embeddings: Sequence[nn.Module], weights: Sequence[Weight], module: nn.Module | None
) -> None:
    """Refuse embeddings to whose rows nothing can be added.

    Args:
        embeddings: What is listed.
        weights: What is trained.
        module: What is trained as a whole, if it is known.

    Raises:
        ValueError: If one is no plain embedding or not trained, or another part owns its table.
    """
    trained = {id(weight.tensor) for weight in weights}
    for one in embeddings:
        name = type(one).__name__
        plain = isinstance(one, nn.Embedding) and type(one).forward is nn.Embedding.forward
        if not plain or not isinstance(one, nn.Embedding) or "forward" in vars(one):
            raise ValueError(
                "`lookups are of nn.Embedding with its own forward` must hold, but got "
                f"{name}: {FIX}"
            )
        require(
            one.max_norm is None,
            law="an embedding in lookups has max_norm=None",
            got=f"max_norm={one.max_norm}, which writes to the table while rows are looked up",
            fix=FIX,
        )
        require(
            id(one.weight) in trained,
            law="an embedding in lookups is trained",
            got=f"{one}, whose weight is not among those of the optimizer",
            fix="leave it out of lookups: a frozen table is not perturbed",
        )
    _check_owners(embeddings, module)


def _check_owners(embeddings: Sequence[nn.Module], module: nn.Module | None) -> None:
    listed = {id(one) for one in embeddings}
    tables = {id(one.weight) for one in embeddings}
    for name, part in module.named_modules() if module is not None else ():
        shared = any(id(parameter) in tables for parameter in part._parameters.values())
        require(
            not shared or id(part) in listed,
            law=LAW,
            got=f"one that {name or 'the module'} ({type(part).__name__}) owns as well",
            fix="list it too, if it is an embedding, or leave the others with this table out",
        )


@contextmanager
def only_looked_up(embeddings: Sequence[nn.Embedding]) -> Iterator[None]:
    """Watch that the tables are used by their embeddings' own forwards alone.

    Raises:
        ValueError: At any other use in this thread.
    """
    watch = Watch([one.weight for one in embeddings])
    handles = [one.register_forward_pre_hook(watch.enter) for one in embeddings]
    handles += [one.register_forward_hook(watch.leave, prepend=True) for one in embeddings]
    try:
        with watch:
            yield
    finally:
        for handle in handles:
            handle.remove()


class Watch(TorchDispatchMode):
    """Sees every operator of torch that is called with a table or a view of one.

    It sits below torch's functions: a mode above them would turn the fused paths of its modules
    off, and the loss that is watched would be another one, if only by rounding.

    Args:
        tables: What may be read inside an embedding's forward only.
    """

    def __init__(self, tables: Sequence[Tensor]) -> None:
        super().__init__()
        self._spans = [span for span in map(_span, tables) if span is not None]
        self._inside = 0

    def enter(self, *_: object) -> None:
        """Note that an embedding's forward begins."""
        self._inside += 1

    def leave(self, *_: object) -> None:
        """Note that an embedding's forward has ended."""
        self._inside -= 1

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the operator, unless it reads or writes values of a table."""
        named, name = kwargs or {}, func._schema.name
        met = not self._inside and self._touched([*args, *named.values()])
        if not met or LIKE.fullmatch(name):
            return func(*args, **named)
        # What gives a table back is a view of it, to be judged by its own use.
        result = None if func._schema.is_mutable else func(*args, **named)
        require(self._touched(result), law=LAW, got=f"a table in a call of {name}", fix=FIX)
        return result

    def _touched(self, value: Any) -> bool:
        if isinstance(value, (list, tuple)):
            return any(map(self._touched, value))
        span = _span(value) if isinstance(value, Tensor) else None
        return span is not None and any(
            low < span[1] and span[0] < high for low, high in self._spans
        )


def _span(tensor: Tensor) -> tuple[int, int] | None:
    """Return the addresses of a tensor's first byte and of the one after its last."""
    if tensor.layout is not torch.strided or tensor.numel() == 0:
        return None
    extent = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + extent * tensor.element_size()
