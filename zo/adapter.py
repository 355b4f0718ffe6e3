"""The pool as an adapter: the same training without writing one weight.

A periodic source confines training to ``theta0 + w[i mod N]``. So the base weights need never be
written, they may be shared or quantised, and what is trained are the ``N`` numbers ``w``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hwmodel.checks import require
from zo.adapted import Correlated, Embedded, Materialised, Rows
from zo.addresses import get_source
from zo.guards import Guards, as_loss, refuse_infinite
from zo.quantised import Int8Linear
from zo.replay import as_logged
from zo.scaling import Scaling, modulus_scale
from zo.sources.base import Source
from zo.sources.periodic import Periodic
from zo.sweep import Filler, Sweep
from zo.weights import lay_out

CORRELATE_FROM = 1 << 16
"""Weights of a linear layer from which the correlation beats forming the sum."""

_DELTA = -1


class Adapter:
    """Trains ``period`` numbers on top of a model that is only read.

    Same algorithm, same numbers and same flat order as ``ZO`` with the same arguments; equal to it
    to rounding. A step runs both of its looks as one doubled batch.

    Args:
        model: The model; its layers are replaced by layers that add their periodic part. 8-bit
            linear layers are trained like others. Modules must take the batch as first axis.
        lr: Learning rate.
        eps: Distance of the two looks, in units of a Gaussian perturbation.
        source: A periodic source or its address.
        scaling: Modulus scale; see ``ZO``.
        correlate_from: Weights from which a linear layer takes the correlation; below, its sum
            with the periodic part is formed anew in every forward.

    Attributes:
        num_weights: Weights that the periodic part covers.
        steps: Steps done.

    Raises:
        ValueError: If the source is not periodic.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float,
        eps: float = 1e-3,
        source: Source | str,
        scaling: Scaling = "exact",
        correlate_from: int = CORRELATE_FROM,
    ) -> None:
        made = get_source(source) if isinstance(source, str) else source
        self.lr, self.eps, self.scaling, self.steps = lr, eps, scaling, 0
        offsets = dict(_offsets(model))
        self.num_weights = sum(tensor.numel() for tensor in offsets)
        bound = made.bind(self.num_weights)
        if not isinstance(bound, Periodic):
            raise ValueError(
                f"`an adapter's source is periodic` must hold, but got {made.spec}: its training "
                "is as large as the weights; use a pool or a bank, or ZO"
            )
        self.source, self.model = bound, model
        like = next(t for t in (*offsets, *model.buffers()) if t.is_floating_point())
        self._filler: Filler = bound.filler(like.dtype, like.device)
        self._filler.remember(_DELTA, 0.0, {})
        self._rows = Rows(bound.period, like)
        places = {id(tensor): offset for tensor, offset in offsets.items()}
        self._guards = Guards([], model)
        self._weights = lay_out([{"params": list(offsets)}])
        _replace(model, places, self._rows, correlate_from)

    @property
    def delta(self) -> Tensor:
        """What was learned, shape ``(min(period, num_weights),)``."""
        return self._filler.slots[_DELTA]

    @torch.no_grad()
    def step(self, inputs: Tensor, loss: Callable[[Any], Tensor]) -> float:
        """Do one step.

        Args:
            inputs: A batch, first axis the samples.
            loss: Maps the model's output on such a batch to a number.

        Returns:
            The mean loss of both sides.

        Raises:
            DivergedError: If a loss is not finite; nothing was learned then.
        """
        token = self.source.token(self.steps)
        scale = modulus_scale(self.scaling, exact=self.source.exact_scale(token))
        self._show({token: self.eps * scale}, {token: -self.eps * scale})
        with self._guards.watch(), self._undone_on_error():
            outputs = self.model(torch.cat([inputs, inputs])).chunk(2)
            plus, minus = (as_loss(loss(output)) for output in outputs)
        (slope,) = as_logged([(plus - minus) / (2 * self.eps)])
        refuse_infinite([plus, minus, slope], step=self.steps, lr=self.lr)
        self._filler.remember(_DELTA, 1.0, {token: -self.lr * slope * scale})
        self._show({})
        self.steps += 1
        return (plus + minus) / 2

    @torch.no_grad()
    def merge(self) -> None:
        """Write what was learned into the base weights and begin again from there.

        Raises:
            ValueError: If a base weight is 8-bit.
        """
        require(
            all(weight.tensor.is_floating_point() for weight in self._weights),
            law="a base that is merged into holds floating-point weights",
            got="a base with 8-bit layers",
            fix="keep the adapter beside the base, or merge into the model before quantising it",
        )
        Sweep(self._filler, self._weights)({_DELTA: 1.0})
        self._filler.remember(_DELTA, 0.0, {})
        self._show({})

    def state_dict(self) -> dict[str, Any]:
        """Return all that training made: ``period`` numbers and the step."""
        return {
            "steps": self.steps,
            "delta": self.delta.clone(),
            "source": self.source.spec.address,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a ``state_dict`` on the same base.

        Raises:
            ValueError: If it is of another source or weight count.
        """
        require(
            state["source"] == self.source.spec.address
            and state["delta"].shape == self.delta.shape,
            law="an adapter is loaded with its own source and weight count",
            got=f"{state['source']} with {state['delta'].numel()} numbers, "
            f"{self.source.spec} with {self.delta.numel()} here",
            fix="build the adapter as the checkpoint's was",
        )
        self.steps = state["steps"]
        self.delta.copy_(state["delta"])
        self._show({})

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Take the perturbation back, whatever the forwards do."""
        try:
            yield
        finally:
            self._show({})

    def _show(self, *branches: dict[int, float]) -> None:
        """Have the layers add the delta and, per branch, a perturbation."""
        rows = []
        for terms in branches:
            self._filler.fill({_DELTA: 1.0, **terms}, 0, self._filler.room)
            row = self._filler.scratch[: self._filler.room].clone()
            missing = self.source.period - row.numel()
            rows.append(torch.nn.functional.pad(row, (0, missing)))
        self._rows.show(torch.stack(rows))


def _offsets(model: nn.Module) -> Iterator[tuple[Tensor, int]]:
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


def _replace(parent: nn.Module, places: dict[int, int], rows: Rows, correlate_from: int) -> None:
    require(
        not _own(parent),
        law="a model keeps its weights in its layers",
        got=f"a {type(parent).__name__} with weights of its own",
        fix="wrap it: nn.Sequential(model)",
    )
    for name, child in parent.named_children():
        if _own(child):
            setattr(parent, name, _wrapped(child, places, rows, correlate_from))
        else:
            _replace(child, places, rows, correlate_from)


def _wrapped(
    layer: nn.Module, places: dict[int, int], rows: Rows, correlate_from: int
) -> nn.Module:
    large = isinstance(layer, nn.Linear) and layer.weight.numel() >= correlate_from
    if isinstance(layer, Int8Linear) or (isinstance(layer, nn.Linear) and large):
        return _correlated(layer, places, rows)
    if isinstance(layer, nn.Embedding):
        return Embedded(layer, weight=places[id(layer.weight)], rows=rows)
    trained = {key: p for key, p in layer.named_parameters() if p.requires_grad}
    return Materialised(layer, {key: places[id(p)] for key, p in trained.items()}, rows)


def _correlated(layer: nn.Linear | Int8Linear, places: dict[int, int], rows: Rows) -> Correlated:
    bias = None if layer.bias is None else places[id(layer.bias)]
    return Correlated(
        layer,
        n_in=layer.in_features,
        n_out=layer.out_features,
        weight=places[id(layer.weight)],
        bias=bias,
        rows=rows,
    )
