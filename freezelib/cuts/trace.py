"""From a model to a graph of its layers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from torch import fx, nn

from freezelib.families import segments_of
from freezelib.modes import mode

SEGMENT = "freezelib.segment"  # in the meta of a node that a registered family makes a segment


def trace(model: nn.Module) -> fx.GraphModule:
    """The graph of a model, over the model's own layers.

    A half of a cut is a graph already and comes back as it is.

    Raises:
        ValueError: torch.fx cannot trace the model.
    """
    if isinstance(model, fx.GraphModule):
        return model
    tracer = _Tracer(model)
    root = _Whole(model) if tracer.is_family(model) else model
    before = set(vars(root))
    try:
        graph = tracer.trace(root)
    except Exception as error:  # the tracer runs the model's own code, which may raise anything
        raise ValueError(
            f"A model must be traceable by torch.fx to be cut, but {type(model).__name__} is not: "
            f"{error} (freezelib.families.register_family can say how it is built instead.)"
        ) from error
    traced = fx.GraphModule(tracer.parts(graph), graph, type(model).__name__)
    traced.training = model.training
    for name in set(vars(root)) - before:  # constants that the tracer has left there
        delattr(root, name)
    return traced


def require_one_graph(model: nn.Module) -> None:
    """Refuse a model whose own code asks for its mode: a trace would fix it.

    Raises:
        ValueError: Its graph in train mode is not that in eval mode.
    """
    if isinstance(model, fx.GraphModule):
        return
    graphs = []
    for training in (True, False):
        with mode(model, training=training):
            graphs.append(str(trace(model).graph).splitlines())
    if graphs[0] != graphs[1]:
        line = next(a for a, b in zip_longest(*graphs, fillvalue="nothing") if a != b)
        raise ValueError(
            "A model to be cut must keep its modes in modules, but tracing would fix the mode of "
            f"{type(model).__name__} ({line.strip()!r} when training): use nn.Dropout in place of "
            "functional dropout, and a module for whatever else is done in training alone."
        )


class _Whole(nn.Module):
    """A model of a registered family, called as if by another one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        return self.model(x)


class _Tracer(fx.Tracer):
    """Keeps modules without children whole, and takes registered families apart."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._paths = {id(m): path for path, m in model.named_modules()}
        self._foreign: dict[str, nn.Module] = {}  # segments that are no modules of the model
        self._chains: dict[int, list[tuple[str, nn.Module]]] = {}
        for module in list(model.modules()):
            self._find_chains(module)

    def _find_chains(self, module: nn.Module) -> None:
        # Ahead of the trace, during which parameters cannot be had.
        if id(module) not in self._chains and (chain := segments_of(module)):
            self._chains[id(module)] = chain
            for _, segment in chain:
                self._find_chains(segment)

    def is_family(self, module: nn.Module) -> bool:
        """Whether a module is a chain of segments."""
        return id(module) in self._chains

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = super().is_leaf_module(m, module_qualified_name) or not any(m.children())
        return whole or self.is_family(m)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        alone = len(args) == 1 and all(value is None for value in kwargs.values())
        if not (alone and self.is_family(m)):
            return super().call_module(m, forward, args, kwargs)
        return self._chain(m, self._paths[id(m)], args[0])

    def _chain(self, module: nn.Module, path: str, x: Any) -> Any:
        for name, segment in self._chains[id(module)]:
            here = self._path(f"{path}.{name}".strip("."), segment)
            if self.is_family(segment):
                x = self._chain(segment, here, x)
            else:
                x = self.create_proxy("call_module", here, (x,), {})
                x.node.meta[SEGMENT] = True
        return x

    def _path(self, wanted: str, segment: nn.Module) -> str:
        """Where a segment hangs: at its place in the model, or under a name of its own."""
        if id(segment) in self._paths:
            return self._paths[id(segment)]
        if wanted in self._paths.values():
            raise ValueError(f"the segment {wanted!r} has the name of another module")
        self._foreign[wanted] = segment
        self._paths[id(segment)] = wanted
        return wanted

    def parts(self, graph: fx.Graph) -> dict[str, Any]:
        """What the nodes of a graph refer to, by name."""
        named = {str(n.target) for n in graph.nodes if n.op in ("call_module", "get_attr")}
        return {
            name: self._foreign[name] if name in self._foreign else self._of_the_model(name)
            for name in named
        }

    def _of_the_model(self, name: str) -> Any:
        # Tensors that the model makes while it is traced are kept at what is traced.
        owner = self.root if hasattr(self.root, name) else self._model
        return attrgetter(name)(owner)
