"""Where a model can be cut, and the two halves of a cut.

A *cut* is a place where exactly one tensor is live, so that the suffix needs nothing of the prefix
but that tensor. In a traced graph that is a node from which every edge starts that crosses its
position in topological order (an articulation point). Between two such nodes only the place before
the next real work is kept: cutting after a ReLU, not between a convolution and its BatchNorm.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A freeze point.

    Attributes:
        index: The freeze point ``k``, counted from 1 at the front of the model.
        node: Name of the graph node whose output is the feature map.
        map_shape: Shape of one sample's feature map, without the batch dimension.
        bytes_per_sample: Size of one float32 feature map.
        prefix_mac_share: Multiply-accumulates before the cut, as a share of the whole forward.
    """

    index: int
    node: str
    map_shape: tuple[int, ...]
    bytes_per_sample: int
    prefix_mac_share: float


def find_cuts(model: nn.Module, example_input: Tensor) -> list[Cut]:
    """All freeze points of a model, front to back.

    Args:
        model: Any model that torch.fx can trace; left in the mode in which it came.
        example_input: A batch ``[n, ...]`` of the kind that the model will see.

    Raises:
        ValueError: The model cannot be traced, or has no place with a single live tensor.
    """
    traced = _trace(model)
    with _eval_mode(model), torch.no_grad():
        ShapeProp(traced).propagate(example_input)
        nodes = [node for node in _articulation_nodes(traced.graph) if _worth_cutting(node)]
        if not nodes:
            raise ValueError(
                f"A cut needs a place with one live tensor, but {type(model).__name__} has none "
                "between its input and its output: its skip connections span the whole model."
            )
        total = _forward_macs(model, example_input)
        cuts = []
        for index, node in enumerate(nodes, start=1):
            prefix = fx.GraphModule(traced, _prefix_graph(traced.graph, node.name))
            shape = tuple(node.meta["tensor_meta"].shape[1:])
            cuts.append(
                Cut(
                    index=index,
                    node=node.name,
                    map_shape=shape,
                    bytes_per_sample=4 * int(torch.Size(shape).numel()),
                    prefix_mac_share=_forward_macs(prefix, example_input) / total,
                )
            )
    return cuts


def split(model: nn.Module, cut: Cut, *, example_input: Tensor) -> tuple[nn.Module, nn.Module]:
    """Cut a model in two. Both halves share the parameters and buffers of ``model``.

    Args:
        model: The model that ``cut`` was found in.
        cut: One of ``find_cuts(model, example_input)``.
        example_input: A batch on which ``suffix(prefix(x)) == model(x)`` is verified.

    Returns:
        ``(prefix, suffix)``, both in the mode of ``model``.

    Raises:
        ValueError: The halves share a parameter, or do not reproduce the model (a second tensor
            passes the cut unseen by the tracer).
    """
    traced = _trace(model)
    prefix = fx.GraphModule(traced, _prefix_graph(traced.graph, cut.node))
    suffix = fx.GraphModule(traced, _suffix_graph(traced.graph, cut.node))
    shared = {id(p) for p in prefix.parameters()} & {id(p) for p in suffix.parameters()}
    if shared:
        raise ValueError(
            f"A cut must separate the parameters, but {len(shared)} of them are used on both "
            f"sides of {cut.node!r}: choose a cut behind the last use of the tied weights."
        )
    _verify(model, prefix, suffix, cut, example_input)
    # The layers are the model's and have their modes back; train() would overrule single ones.
    prefix.training = suffix.training = model.training
    return prefix, suffix


def blocks(model: nn.Module, cuts: Sequence[Cut]) -> list[list[str]]:
    """Names of the parameters between the cuts.

    Returns:
        One list more than there are cuts: block 0 lies before the first cut, the last block
        behind the last. Freezing at cut ``k`` freezes the first ``k`` blocks.
    """
    traced = _trace(model)
    names = {id(p): name for name, p in model.named_parameters()}
    found: list[list[str]] = []
    for cut in cuts:
        prefix = fx.GraphModule(traced, _prefix_graph(traced.graph, cut.node))
        ours = {names.pop(id(p), "") for p in prefix.parameters()} - {""}
        found.append([name for name, _ in model.named_parameters() if name in ours])
    return [*found, list(names.values())]


def tap(model: nn.Module, cuts: Sequence[Cut]) -> Callable[[Tensor], list[Tensor]]:
    """A function from a batch to the feature map at each cut and the model's output.

    It runs the model in eval mode and without gradients, and leaves its modes as they were.
    """
    traced = _trace(model)
    graph = fx.Graph(owning_module=traced)
    copies: dict[fx.Node, fx.Node] = {}
    wanted = {cut.node for cut in cuts}
    taps: list[fx.Node] = []
    for node in traced.graph.nodes:
        if node.op == "output":
            graph.output((*taps, copies[node.args[0]]))
            break
        copies[node] = graph.node_copy(node, lambda old: copies[old])
        if node.name in wanted:
            taps.append(copies[node])
    tapped = fx.GraphModule(traced, graph)

    def outputs(x: Tensor) -> list[Tensor]:
        with _eval_mode(model), torch.no_grad():
            return list(tapped(x))

    return outputs


def _trace(model: nn.Module) -> fx.GraphModule:
    try:
        traced = fx.GraphModule(model, graph := _Tracer().trace(model))
    except Exception as error:  # the tracer runs the model's own code, which may raise anything
        raise ValueError(
            f"A model must be traceable by torch.fx to be cut, but {type(model).__name__} is not: "
            f"{error}"
        ) from error
    if fixed := [node.name for node in graph.nodes if "training" in node.kwargs]:
        raise ValueError(
            "A model to be cut must keep its modes in modules, but tracing fixes the mode of "
            f"{', '.join(fixed)}: use nn.Dropout in place of functional dropout."
        )
    return traced


class _Tracer(fx.Tracer):
    """Keeps every module without children whole, and with it what its mode decides."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(m.children())


def _articulation_nodes(graph: fx.Graph) -> Iterator[fx.Node]:
    """Nodes that every later edge from the front passes through, in topological order."""
    order = {node: position for position, node in enumerate(graph.nodes)}
    reach = -1  # farthest consumer of any node before the current one
    for node in graph.nodes:
        consumers = [order[user] for user in node.users]
        if node.op in ("call_module", "call_function", "call_method") and reach <= order[node]:
            yield node
        if node.op != "get_attr":  # parameters are no data that passes a cut
            reach = max(reach, *consumers, -1)


def _worth_cutting(node: fx.Node) -> bool:
    """Whether the next thing after a node is real work on a feature map of a batch."""
    shape = _shape(node)
    if shape is None or len(shape) < 3 or shape[2:].numel() < 2:
        return False
    if len(node.users) > 1:
        return True
    (user,) = node.users
    after = _shape(user)
    collapses = after is None or len(after) < len(shape) or after[2:].numel() < 2
    return user.op != "output" and (collapses or _multiplies(user))


def _shape(node: fx.Node) -> torch.Size | None:
    return getattr(node.meta.get("tensor_meta"), "shape", None)


def _multiplies(node: fx.Node) -> bool:
    """Whether a node is one of the operations that multiply-accumulate with weights."""
    if node.op == "call_module":
        owner = node.graph.owning_module
        assert owner is not None
        module = owner.get_submodule(str(node.target))
        return isinstance(module, nn.Conv2d | nn.Linear | nn.MultiheadAttention | nn.Conv1d)
    return node.target in (torch.matmul, operator.matmul, nn.functional.linear)


def _prefix_graph(graph: fx.Graph, node_name: str) -> fx.Graph:
    prefix = fx.Graph(owning_module=graph.owning_module)
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        copies[node] = prefix.node_copy(node, lambda old: copies[old])
        if node.name == node_name:
            prefix.output(copies[node])
            prefix.eliminate_dead_code()
            return prefix
    raise ValueError(f"The model has no node {node_name!r}: find its cuts anew.")


def _suffix_graph(graph: fx.Graph, node_name: str) -> fx.Graph:
    suffix = fx.Graph(owning_module=graph.owning_module)
    copies: dict[fx.Node, fx.Node] = {}
    behind = False
    for node in graph.nodes:
        if node.name == node_name:
            copies[node] = suffix.placeholder("feature_map")
            behind = True
        elif behind or node.op == "get_attr":
            copies[node] = suffix.node_copy(node, lambda old: copies[old])
    suffix.eliminate_dead_code()
    return suffix


def _verify(model: nn.Module, prefix: nn.Module, suffix: nn.Module, cut: Cut, x: Tensor) -> None:
    with _eval_mode(model), torch.no_grad():
        prefix.eval()
        suffix.eval()
        expected = model(x)
        feature_map = prefix(x)
        prefix(x.flip(0) + 1.0)  # whatever else the prefix may have left behind is now wrong
        if not torch.equal(suffix(feature_map), expected):
            raise ValueError(
                f"suffix(prefix(x)) == model(x) must hold, but does not at cut {cut.index} "
                f"({cut.node!r}): another tensor passes the cut outside the traced graph."
            )


def _forward_macs(module: nn.Module, x: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops() / 2


class _eval_mode:
    """Put a model into eval mode for a while."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._training = model, [m.training for m in model.modules()]

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        for module, training in zip(self._model.modules(), self._training, strict=True):
            module.training = training
