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
from zo.adapted import Rows
from zo.addresses import get_source
from zo.forms import Forms
from zo.guards import Guards, as_loss, refuse_infinite
from zo.replay import as_logged
from zo.scaling import Scaling, modulus_scale
from zo.sources.base import Source
from zo.sources.periodic import Periodic
from zo.sweep import Filler, Sweep
from zo.weights import lay_out
from zo.wrapping import Wrapping, offsets_of

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
            with the periodic part is formed anew in every forward. By default either is tried on
            the first batch and the faster one taken, so that two machines agree to rounding only.

    Attributes:
        forms: What was found faster for which size of layer and batch.
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
        correlate_from: int | None = None,
    ) -> None:
        made = get_source(source) if isinstance(source, str) else source
        self.lr, self.eps, self.scaling, self.steps = lr, eps, scaling, 0
        offsets = dict(offsets_of(model))
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
        self.forms: Forms = {}
        Wrapping(places, self._rows, correlate_from, self.forms).replace_in(model)

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
            "forms": dict(self.forms),
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
        self.forms.update(state["forms"])
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
