"""Training a network on batches, by backprop or by zeroth-order steps."""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from freezelib.images import ImageSet
from freezelib.loader import CacheLoader
from freezelib.memory import peak_memory_bytes
from sweeps.config import TrainConfig, TrunkConfig
from zo import ZO

Batch = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor], float]
Report = Callable[[int, dict[str, float]], None]

_REPORTS = 8  # times that a training reports its loss


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training went.

    Attributes:
        wall_s: Seconds over all steps, reading the batches included.
        step_wall_ms: Median time of a step, reading its batch included.
        loss: Mean loss of the last tenth of the steps.
        memory_bytes: Weights, optimizer state, and the peak of what one more step allocates. The
            random number generator is not in it: it is priced as hardware.
        lr_equiv: Learning rate that does the same under an exact modulus scale; None for backprop.
        eps_equiv: Likewise the distance of the two looks.
    """

    wall_s: float
    step_wall_ms: float
    loss: float
    memory_bytes: int
    lr_equiv: float | None = None
    eps_equiv: float | None = None


def train(
    network: nn.Module,
    loader: CacheLoader,
    config: TrainConfig,
    *,
    seed: int,
    report: Report = lambda step, metrics: None,
) -> Training:
    """Train the trainable parameters of a network, with the learning rate decayed to 0.

    Args:
        network: The suffix (or the whole model, for cut 0).
        loader: Batches of its inputs.
        config: Method, steps and their parameters.
        seed: Of the perturbations.
        report: Called a few times with the step and ``{"train_loss": ...}``.

    Raises:
        zo.DivergedError: A zeroth-order loss is not finite.
        FloatingPointError: A backprop loss is not finite.
    """
    with closing(loader.epoch(0)) as batches:
        memory_bytes = _memory_bytes(network, config, next(batches))
    optimizer, step = _METHODS[config.method](network, config, seed)
    equivalent: dict[str, float] = {}
    if isinstance(optimizer, ZO):
        equivalent = {"lr_equiv": optimizer.lr_equiv, "eps_equiv": optimizer.eps_equiv}
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: 0.5 * (1 + math.cos(math.pi * done / config.steps))
    )
    losses: list[float] = []
    times: list[float] = []
    every = max(1, config.steps // _REPORTS)
    last = time.perf_counter()
    for inputs, labels in _batches(loader, config.steps):
        losses.append(step(inputs, labels))
        schedule.step()
        times.append(-last + (last := time.perf_counter()))
        if len(losses) % every == 0:
            report(len(losses), {"train_loss": statistics.fmean(losses[-every:])})
            last = time.perf_counter()
    if isinstance(optimizer, ZO):
        optimizer.flush()
    return Training(
        wall_s=math.fsum(times),
        step_wall_ms=1e3 * statistics.median(times),
        loss=statistics.fmean(losses[-max(1, config.steps // 10) :]),
        memory_bytes=memory_bytes,
        **equivalent,
    )


def warm_up(network: nn.Module, loader: CacheLoader, config: TrunkConfig) -> None:
    """Train a trunk by backprop."""
    if config.steps:
        shared = {name: getattr(config, name) for name in _SHARED_WITH_TRUNK}
        train(network, loader, TrainConfig(**shared), seed=config.seed)


_SHARED_WITH_TRUNK = ("steps", "batch_size", "lr", "momentum", "weight_decay")


def _backprop(
    network: nn.Module, config: TrainConfig, seed: int
) -> tuple[torch.optim.Optimizer, Step]:
    network.train()
    optimizer = torch.optim.SGD(
        _trainable(network),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )

    def step(inputs: Tensor, labels: Tensor) -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimizer.step()
        if not math.isfinite(value := loss.item()):
            raise FloatingPointError(
                f"The loss must stay finite, but is {value} at lr={config.lr}: lower train.lr."
            )
        return value

    return optimizer, step


def _zeroth_order(
    network: nn.Module, config: TrainConfig, seed: int
) -> tuple[torch.optim.Optimizer, Step]:
    network.eval()  # BatchNorm must not move between the two forwards
    optimizer = ZO(
        _trainable(network),
        lr=config.lr,
        weight_decay=config.weight_decay,
        eps=config.eps,
        source=config.source,
        scaling=config.scaling,
        scope=config.scope,
        queries=config.queries,
        seed=seed,
    )

    def step(inputs: Tensor, labels: Tensor) -> float:
        return optimizer.step(lambda: functional.cross_entropy(network(inputs), labels))

    return optimizer, step


def _trainable(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def _batches(loader: CacheLoader, steps: int) -> Iterator[Batch]:
    done = epoch = 0
    while done < steps:
        with closing(loader.epoch(epoch)) as batches:
            for batch in itertools.islice(batches, steps - done):
                yield batch
                done += 1
        epoch += 1


def training_memory_bytes(network: nn.Module, data: ImageSet, config: TrainConfig) -> int:
    """What training a whole network on images holds at its peak."""
    rows = slice(0, config.batch_size)
    return _memory_bytes(network, config, (data.read(rows), data.labels[rows]))


def _memory_bytes(network: nn.Module, config: TrainConfig, batch: Batch) -> int:
    """What training holds at its peak, seen on a copy that takes two steps.

    The second is measured, since the first makes the optimizer's state.
    """
    copied = copy.deepcopy(network)
    optimizer, step = _METHODS[config.method](copied, config, 0)
    step(*batch)
    peak = peak_memory_bytes(lambda: step(*batch))
    held = [*copied.parameters(), *copied.buffers()]
    for state in optimizer.state.values():
        held += [value for value in state.values() if isinstance(value, Tensor)]
    return peak + sum(tensor.nbytes for tensor in held)


_METHODS: dict[
    str, Callable[[nn.Module, TrainConfig, int], tuple[torch.optim.Optimizer, Step]]
] = {
    "backprop": _backprop,
    "zo": _zeroth_order,
}
