"""The optimizer: two forwards per step, and two passes over the weights between them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from hwmodel.checks import choose, require
from zo.addresses import get_source
from zo.arguments import check_numbers, check_shard
from zo.checkpoints import check_identity, restored, saved
from zo.fixed import FixedPoint
from zo.guards import Guards, as_loss, refuse_decay, refuse_half, refuse_infinite
from zo.looks import Closure, Look, looks_of, reported, slopes_of
from zo.lookups import LookedUp, add_on_lookup
from zo.only_looked_up import check_embeddings, check_source, only_looked_up
from zo.per_tensor import TensorScales
from zo.replay import ScalarLog
from zo.restore import Delta, Master
from zo.rules import SlopeRule
from zo.scaling import Scaling, check_scaling, modulus_scale
from zo.settling import settle_before_use
from zo.sources.base import Source
from zo.sources.counter import mix
from zo.walk import InPlace, Walk
from zo.weights import ParamsT, Weight, lay_out, trainable

RESTORES: dict[str, type[Walk]] = {
    "lazy": InPlace,
    "eager": InPlace,
    "master": Master,
    "delta": Delta,
    "fixed": FixedPoint,
}

SCOPES = ("global", "per_tensor")

_MOMENTUM = -1


class ZO(torch.optim.Optimizer):
    """Zeroth-order stochastic gradient descent with any perturbation source.

    A step moves the weights to ``theta + eps s z``, reads the loss, moves them to
    ``theta - eps s z``, reads it again, and learns ``theta - lr g s z`` with
    ``g = (loss+ - loss-) / (2 eps)``; ``s`` is the modulus scale. Moving back and learning are
    left to the next step's first move (``restore="lazy"``), so a step passes over the weights
    twice. Until then the weights still carry a perturbation: use ``materialized()`` to evaluate
    or save a model. If you give the module itself, not its parameters, then every forward outside
    a step and every ``state_dict`` of it settles the weights first.

    Args:
        params: A module, its parameters, or parameter groups; frozen ones are left out.
        lr: Learning rate; a group may have its own.
        eps: Distance of the two looks from the weights, in units of a Gaussian perturbation.
        source: A perturbation source or its address, such as ``"pool:size=4093"``.
        scaling: Modulus scale: ``exact``, ``pow2``, ``none`` or a constant.
        scope: ``global``, one modulus scale for all weights; or ``per_tensor``, one for each from
            its own numbers, at the price of a periodic source's cheap passes and small slots.
        queries: Perturbations per step, averaged.
        sides: 2 looks at both sides; 1 compares one side with the loss at the weights.
        momentum: Decay of the averaged direction, which is then learned in place of the step's
            own; kept in ``period`` numbers by a periodic source, else in one per weight.
        beta2: Decay of the slopes' mean square, whose root divides them: Adam with one scalar.
        clip: Largest size of a slope.
        weight_decay: Decoupled weight decay, applied in the same pass; a group may have its own.
        restore: How the weights come back from a perturbation. ``lazy``: with the next move.
            ``eager``: at the end of each step. ``master``: from a copy of at least float32.
            ``delta``: from the initial weights and all that was learned, kept apart. ``fixed``:
            as ``lazy``, on weights that are rounded to multiples of one power of two, where
            sums are exact. The last three are exact and take weights of half precision.
        lookups: Embeddings whose tables are only read by looking rows up. Under a periodic source
            their rows are perturbed as they are looked up, and the tables are written when the
            weights are settled, not before: the same training to rounding, without a pass over
            the tables. For ``lazy``; other uses of a table are refused as far as they show.
        shard: Where these weights lie among all that are trained, ``(offset, total)``, if this
            process holds a part of them; every process must see the same losses.
        seed: Which training: how far into the source's sequence it begins.

    Attributes:
        source: The bound source.
        num_weights: Weights that are trained, in all processes together.
        steps: Steps done.
        stepping: Whether a step is under way.
        log: The scalars of all steps, from which the training can be replayed.
        walk: The account of where the weights are.
        rule: What becomes of slopes before they are learned.

    Raises:
        ValueError: If an argument is out of bounds, a weight is half precision, or the source
            has one direction only.
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float,
        eps: float = 1e-3,
        source: Source | str,
        scaling: Scaling = "exact",
        scope: str = "global",
        queries: int = 1,
        sides: int = 2,
        momentum: float = 0.0,
        beta2: float | None = None,
        clip: float | None = None,
        weight_decay: float = 0.0,
        restore: str = "lazy",
        lookups: Sequence[nn.Embedding] = (),
        shard: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        check_numbers(
            lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, sides=sides, seed=seed
        )
        check_scaling(scaling)
        self._fixed = False
        super().__init__(trainable(params), {"lr": lr, "weight_decay": weight_decay})
        offset, total = shard or (0, None)
        weights = lay_out(self.param_groups, offset=offset)
        sizes = [weight.flat.numel() for weight in weights]
        self.num_weights = total or sum(sizes)
        check_shard(offset, sum(sizes), self.num_weights)
        made = get_source(source) if isinstance(source, str) else source
        self.source = made.bind(self.num_weights, queries=queries, sizes=sizes)
        self.eps, self.scaling, self.queries, self.sides = eps, scaling, queries, sides
        self.scope = choose(scope, SCOPES, what="scope")
        self.momentum, self.rule = momentum, SlopeRule(clip, beta2)
        self.restore = choose(restore, RESTORES, what="restore")
        if RESTORES[restore] is InPlace:
            refuse_half(weights)
        if restore == "fixed":
            refuse_decay(self.param_groups)
        self.seed, self._first = seed, mix(seed) >> 32 if seed else 0
        self.steps, self.log, self.stepping = 0, ScalarLog(), False
        self._tensors = TensorScales(self.source, weights, scaling) if scope != "global" else None
        module = params if isinstance(params, nn.Module) else None
        self._unwatched = list(dict.fromkeys(lookups))
        self.walk = self._walk(weights, module)
        self._fixed = True
        self._guards = Guards(weights, module)
        if module is not None:
            settle_before_use(module, self)

    def _walk(self, weights: Sequence[Weight], module: nn.Module | None) -> Walk:
        num_groups, embeddings = len(self.param_groups), self._unwatched
        if not embeddings:
            kind = RESTORES[self.restore]
            return kind(self.source, weights, num_groups=num_groups, scales=self._tensors)
        check_source(self.source, scope=self.scope, restore=self.restore)
        check_embeddings(embeddings, weights, module)
        walk = LookedUp(self.source, weights, num_groups=num_groups, embeddings=embeddings)
        add_on_lookup(self, walk)
        return walk

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; only the constructor may.

        Raises:
            ValueError: After construction, since the flat order of the weights is fixed then.
        """
        require(
            not self._fixed,
            law="the weights stay those of construction",
            got="a new parameter group",
            fix="build a new ZO with all groups",
        )
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Closure) -> float:  # type: ignore[override]
        """Do one step.

        Args:
            closure: Returns the loss at the present weights, a number; called ``2 * queries``
                times, or ``1 + queries`` times one-sided. It must see the same batch each time,
                and may average over micro-batches.

        Returns:
            The mean loss of both sides, or, one-sided, the loss at the weights.

        Raises:
            DivergedError: If a loss is not finite; the weights are then as before the step.
            ValueError: If weights or buffers changed in a way that spoils the estimate.
        """
        scales = self._scales()
        with self._stepping(), self._guards.watch():
            loss, slopes = self._measure(closure, scales)
            refuse_infinite([loss, *slopes], step=self.steps, lr=self.param_groups[0]["lr"])
        self._learn(scales, slopes)
        return loss

    @torch.no_grad()
    def retrace(self, slopes: Sequence[float]) -> None:
        """Do one step again from its slopes, with the same float operations and no forward.

        Args:
            slopes: The step's ``queries`` numbers in ``log.slopes``.
        """
        scales = self._scales()
        for token, offset in self._looks(scales):
            self._go(token, offset)
        self._learn(scales, slopes)

    @torch.no_grad()
    def flush(self) -> None:
        """Bring the weights up to date: restored and with all that was learned. Idempotent."""
        if not self.walk.settled:
            self.log.flushes.append(self.steps)
            self.walk.settle()

    @contextmanager
    def materialized(self) -> Iterator[None]:
        """Hold the weights up to date, for evaluation or for saving the model."""
        self.flush()
        yield

    @property
    def distinct_directions(self) -> float:
        """How many different perturbations this training can see."""
        return self.source.distinct_directions(self.num_weights)

    @property
    def reuse_factor(self) -> float:
        """Weights served per generated random number."""
        return self.source.reuse_factor(self.num_weights)

    @property
    def passes(self) -> int:
        """Passes over the weights so far, ``lookups`` aside; each reads and writes all once."""
        return self.walk.passes

    @property
    def lr_equiv(self) -> float:
        """Learning rate of the first group that does the same under exact scaling."""
        return float(self.param_groups[0]["lr"]) * self._scale_ratio() ** 2

    @property
    def eps_equiv(self) -> float:
        """``eps`` that does the same under exact scaling."""
        return self.eps * self._scale_ratio()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, after a flush: save the weights after this call, not before it."""
        self.flush()
        return {**super().state_dict(), "zo": saved(self)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a ``state_dict`` was taken; load the model's weights before.

        The weights to load are those that were saved after the ``state_dict``; under
        ``restore="delta"`` those that training began with, since the state holds the rest.

        Raises:
            ValueError: If the state is of another weight count, source or setting.
        """
        check_identity(self, state_dict["zo"])
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        restored(self, state_dict["zo"])

    def _scales(self) -> dict[int, float]:
        """Return the step's perturbations, each with the modulus scale of all its numbers."""
        step = self._first + self.steps
        tokens = [self.source.token(step, query) for query in range(self.queries)]
        if self._tensors:
            return dict.fromkeys(tokens, 1.0)
        exact = self.source.exact_scale
        return {token: modulus_scale(self.scaling, exact=exact(token)) for token in tokens}

    def _scale_ratio(self) -> float:
        token, scale = next(iter(self._scales().items()))
        if self._tensors:
            return self._tensors.ratio(token)
        return scale / self.source.exact_scale(token)

    def _looks(self, scales: dict[int, float]) -> list[Look]:
        return looks_of(scales, eps=self.eps, sides=self.sides)

    def _measure(self, closure: Closure, scales: dict[int, float]) -> tuple[float, list[float]]:
        """Return the loss to report and the slope along each perturbation."""
        losses = []
        for look in self._looks(scales):
            self._go(*look)
            with only_looked_up(self._unwatched) if self._unwatched else nullcontext():
                losses.append(as_loss(closure()))
            self._unwatched = []
        slopes = slopes_of(losses, eps=self.eps, sides=self.sides)
        return reported(losses, sides=self.sides), slopes

    def _go(self, token: int | None, offset: float) -> None:
        if token is None:
            self.walk.rest()
        else:
            self.walk.visit(token, offset)

    def _learn(self, scales: dict[int, float], slopes: Sequence[float]) -> None:
        moves = {
            token: slope * scale / self.queries
            for (token, scale), slope in zip(scales.items(), self.rule(slopes), strict=True)
        }
        if self.momentum:
            fresh = {token: (1 - self.momentum) * move for token, move in moves.items()}
            self.walk.remember(_MOMENTUM, self.momentum, fresh)
            moves = {_MOMENTUM: 1.0}
        for number, group in enumerate(self.param_groups):
            updates = {token: -group["lr"] * move for token, move in moves.items()}
            self.walk.learn(number, updates, decay=1 - group["lr"] * group["weight_decay"])
        self.log.append(self.steps, slopes, tuple(group["lr"] for group in self.param_groups))
        self.steps += 1
        if self.restore == "eager":
            self.walk.settle()

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        self.stepping = True
        try:
            yield
        except BaseException:
            self.walk.settle()
            raise
        finally:
            self.stepping = False
