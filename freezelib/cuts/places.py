"""The places where a model can be cut.

In a traced graph they are the nodes from which every edge starts that crosses their position in
topological order (articulation points). Between two such nodes only the place before the next real
work is kept: cutting after a ReLU, not between a convolution and its BatchNorm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor, fx, nn

from freezelib.addresses import unknown
from freezelib.cuts.trace import SEGMENT, require_one_graph, trace
from freezelib.cuts.work import Work, measure


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


def find_cuts(
    model: nn.Module, example_input: Tensor, *, at: Sequence[str] | None = None
) -> list[Cut]:
    """The freeze points of a model, front to back.

    Args:
        model: A model that torch.fx can trace, or one of a registered family
            (:mod:`freezelib.families`); left in the mode in which it came.
        example_input: A batch ``[n, ...]`` of the kind that the model will see.
        at: Names of modules, to have only the cuts at their ends: ``("stage1", "stage2")``.

    Raises:
        ValueError: The model cannot be traced, or not in both modes alike, or has no place with a
            single live tensor, or a module that is named does not end at a cut.
    """
    require_one_graph(model)
    traced = trace(model)
    work = measure(traced, example_input)
    order = list(traced.graph.nodes)
    if work[order[-1]].shape is None:
        raise ValueError(
            f"A model to be cut must return one tensor for a batch, but {type(model).__name__} "
            "does not."
        )
    nodes = [n for n in _articulation_nodes(traced.graph) if _worth_cutting(n, work)]
    if not nodes:
        raise _no_place(model, traced.graph)
    total = sum(w.macs for w in work.values())
    before = dict(zip(order, accumulate(work[n].macs for n in order), strict=True))
    if at is None:
        same_work = groupby(nodes, before.__getitem__)
        nodes = [_smallest(list(same), work) for macs, same in same_work if macs or not total]
    else:
        ends = {_end_of(name, nodes, order, work) for name in at}
        nodes = [node for node in nodes if node in ends]
    return [
        Cut(
            index=index,
            node=node.name,
            map_shape=tuple(work[node].shape or ()),
            bytes_per_sample=_map_bytes(work[node]),
            prefix_mac_share=before[node] / total if total else 0.0,
        )
        for index, node in enumerate(nodes, start=1)
    ]


def _map_bytes(work: Work) -> int:
    return 4 * (work.shape or torch.Size()).numel()


def _smallest(nodes: Sequence[fx.Node], work: Mapping[fx.Node, Work]) -> fx.Node:
    """Of places with no work between them, the last with the smallest map."""
    return min(reversed(nodes), key=lambda node: _map_bytes(work[node]))


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


def _worth_cutting(node: fx.Node, work: Mapping[fx.Node, Work]) -> bool:
    """Whether a node makes a feature map, and what follows is real work."""
    shape = work[node].shape
    if shape is None or len(shape) < 2 or shape[1:].numel() < 2:
        return False
    readers = [user for user in node.users if user.op == "output" or work[user].is_tensor]
    if len(readers) != 1:
        return len(readers) > 1
    (reader,) = readers
    if reader.op == "output":
        return False
    after = work[reader].shape
    collapses = after is None or len(after) < len(shape) or after[1:].numel() < 2
    return collapses or SEGMENT in node.meta or work[reader].macs > 0


def _no_place(model: nn.Module, graph: fx.Graph) -> ValueError:
    name, *inner = type(model).__name__, *list(_articulation_nodes(graph))[:-1]
    if inner:
        return ValueError(
            f"A cut needs a feature map [n, C, positions] that more layers follow, but {name} has "
            "no such place: its layers make vectors, or nothing follows the last map."
        )
    return ValueError(
        f"A cut needs a place with one live tensor, but {name} has none between its input and its "
        "output: its skip connections span the whole model."
    )


def _end_of(
    name: str, cuts: Sequence[fx.Node], order: Sequence[fx.Node], work: Mapping[fx.Node, Work]
) -> fx.Node:
    """The cut at the end of a module: behind it, and before any other work."""
    inside = [position for position, node in enumerate(order) if name in _modules_of(node)]
    if not inside:
        raise unknown("module", name, {module for node in order for module in _modules_of(node)})
    for position in range(inside[-1], len(order)):
        if position > inside[-1] and work[order[position]].macs:
            break
        if order[position] in cuts:
            return order[position]
    ends = ", ".join(f"{i} ({node.name})" for i, node in enumerate(cuts, start=1))
    raise ValueError(
        f"A module to cut at must end where one tensor is live, but {name!r} does not: it lies "
        f"inside a block, or nothing follows. The cuts are {ends}."
    )


def _modules_of(node: fx.Node) -> set[str]:
    """Every module that a node is part of, by its name in the model."""
    names = {str(name) for name, _ in node.meta.get("nn_module_stack", {}).values()}
    if node.op == "call_module":
        parts = str(node.target).split(".")
        names |= {".".join(parts[: i + 1]) for i in range(len(parts))}
    return names - {""}
