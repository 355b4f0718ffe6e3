"""The two halves of a cut, and what lies between two cuts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter

import torch
from torch import Tensor, fx, nn

from freezelib.cuts.places import Cut
from freezelib.cuts.trace import trace
from freezelib.modes import eval_mode


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
    traced = trace(model)
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
    traced = trace(model)
    order = {node: position for position, node in enumerate(traced.graph.nodes)}
    ends = [order[_named(traced.graph, cut.node)] for cut in cuts]
    block_of: dict[int, int] = {}
    for node in traced.graph.nodes:
        if node.op in ("call_module", "get_attr") and node.users:
            # A parameter is fetched when the model says so, and counts where it is used.
            used = (
                min(order[user] for user in node.users) if node.op == "get_attr" else order[node]
            )
            for parameter in _parameters(attrgetter(str(node.target))(traced)):
                block_of.setdefault(id(parameter), bisect_left(ends, used))
    found: list[list[str]] = [[] for _ in range(len(cuts) + 1)]
    for name, parameter in model.named_parameters():
        found[block_of.get(id(parameter), len(cuts))].append(name)
    return found


def tap(model: nn.Module, cuts: Sequence[Cut]) -> Callable[[Tensor], list[Tensor]]:
    """A function from a batch to the feature map at each cut and the model's output.

    It runs the model in eval mode and without gradients, and leaves its modes as they were.
    """
    traced = trace(model)
    wanted = {cut.node for cut in cuts}
    graph = fx.Graph(owning_module=traced)
    copies: dict[fx.Node, fx.Node] = {}
    taps: list[fx.Node] = []
    for node in traced.graph.nodes:
        if node.op == "output":
            graph.output((*taps, copies[node.args[0]]))
        else:
            copies[node] = graph.node_copy(node, lambda old: copies[old])
            if node.name in wanted:
                taps.append(copies[node])
    tapped = fx.GraphModule(traced, graph)

    def outputs(x: Tensor) -> list[Tensor]:
        with eval_mode(model), torch.no_grad():
            return list(tapped(x))

    return outputs


def _parameters(part: object) -> list[nn.Parameter]:
    if isinstance(part, nn.Module):
        return list(part.parameters())
    return [part] if isinstance(part, nn.Parameter) else []


def _named(graph: fx.Graph, name: str) -> fx.Node:
    for node in graph.nodes:
        if node.name == name:
            return node
    raise ValueError(f"The model has no node {name!r}: find its cuts anew.")


def _prefix_graph(graph: fx.Graph, node_name: str) -> fx.Graph:
    last = _named(graph, node_name)
    prefix = fx.Graph(owning_module=graph.owning_module)
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        copies[node] = prefix.node_copy(node, lambda old: copies[old])
        if node is last:
            break
    prefix.output(copies[last])
    prefix.eliminate_dead_code()
    return prefix


def _suffix_graph(graph: fx.Graph, node_name: str) -> fx.Graph:
    first = _named(graph, node_name)
    suffix = fx.Graph(owning_module=graph.owning_module)
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node is first:
            copies[node] = suffix.placeholder("feature_map")
        elif first in copies or node.op == "get_attr":
            copies[node] = suffix.node_copy(node, lambda old: copies[old])
    suffix.eliminate_dead_code()
    return suffix


def _verify(model: nn.Module, prefix: nn.Module, suffix: nn.Module, cut: Cut, x: Tensor) -> None:
    with eval_mode(model), eval_mode(prefix), eval_mode(suffix), torch.no_grad():
        expected = model(x)
        feature_map = prefix(x)
        prefix(_other(x))  # whatever else the prefix may have left behind is now wrong
        if not torch.equal(suffix(feature_map), expected):
            raise ValueError(
                f"suffix(prefix(x)) == model(x) must hold, but does not at cut {cut.index} "
                f"({cut.node!r}): another tensor passes the cut outside the traced graph, or the "
                "segments of a registered family are not what the model does."
            )


def _other(x: Tensor) -> Tensor:
    """Another batch: with other values, or with other ones of the same indices."""
    return x.flip(0) + 1.0 if x.is_floating_point() else x.max() - x
