"""Training that freezes its front layers on the way, and goes on with a cache of their maps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from freezelib.cache import CacheStore
from freezelib.cuts import blocks
from freezelib.images import ImageSet
from freezelib.loader import CacheLoader
from freezelib.policies import EpochStats, Observer, get_policy
from freezelib.trainer import distributed, progress
from freezelib.trainer.config import TrainerConfig
from freezelib.trainer.optimizer import NamedSGD
from freezelib.trainer.phase import Phases

_PROBE_SAMPLES = 64  # on which a policy may watch the features settle

Report = Callable[[dict[str, Any]], None]


class FreezeTrainer:
    """Trains a model and freezes it from the front, as a policy says.

    Once layers are frozen, their feature maps are cached and become the data set. A training that
    was killed anywhere goes on from its checkpoint to the same weights; a cache is never needed
    for that, it is found or made anew.

    Args:
        model: Trained in place. It must have at least one cut.
        data: The training images.
        config: How to train.
        store: Where caches are kept; None to run frozen layers at each step.
        checkpoint: File to resume from, if it is there, and to write to.
        device: Where the trained part runs.

    Attributes:
        model: The model.
        data: The training images.
        phase: What is frozen and trained now.
        optimizer: Over the parameters that are trained now.
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageSet,
        config: TrainerConfig,
        *,
        store: CacheStore | None = None,
        checkpoint: Path | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.model, self.data = model.to(device), data
        self._config, self._checkpoint = config, checkpoint
        self._device, self._num_classes = torch.device(device), data.num_classes
        self._phases = Phases(model, data, config, store)
        self._blocks = blocks(model, self._phases.cuts)
        self._policy = get_policy(config.policy)
        probe = data.read(slice(0, _PROBE_SAMPLES))
        self._observer = Observer(model, self._phases.cuts, probe, self._policy.needs)
        self.optimizer = NamedSGD(model, config)
        self._progress = progress.Progress()
        self._resume()
        self.phase = self._phases.enter(self._progress.k, codec=self._progress.codec)
        self._train_only_behind(self._progress.k)

    def fit(
        self, report: Report = lambda row: None, *, until: int | None = None
    ) -> list[dict[str, Any]]:
        """Train to the end, or until so many epochs are done.

        Args:
            report: Called after each epoch with its row.
            until: Epochs to stop at; another call goes on from there.

        Returns:
            A row per epoch: ``epoch``, ``k`` (freeze point), ``loss`` (mean), ``train_wall_s``
            (steps, reading included), ``build_wall_s`` (of the freeze event before it, cache
            included), ``cache_bytes``, ``codec``, ``reason``.

        Raises:
            FloatingPointError: The loss is not finite.
            RuntimeError: A frozen layer moved.
        """
        now = self._progress
        while now.epoch < (self._config.epochs if until is None else until):
            if not now.decided:
                self._decide()
                self._save()
            self._train_epoch()
            row = self._row()
            now.rows.append(row)
            now.epoch, now.batch, now.decided = now.epoch + 1, 0, False
            now.loss_sum = now.wall_s = now.build_wall_s = 0.0
            self._save()
            report(row)
        return now.rows

    def _decide(self) -> None:
        """Ask the policy, and freeze where it says and the guards allow."""
        now = self._progress
        stats = EpochStats(
            epoch=now.epoch,
            epochs=self._config.epochs,
            k=now.k,
            prefix_mac_share=tuple(cut.prefix_mac_share for cut in self._phases.cuts),
            has_cache=self._phases.has_store,
            **self._observer.end_epoch(),
        )
        target = self._policy.propose(stats)
        k = self._config.guards.permitted(target, stats)
        build, saved = self._phases.cost_of_freezing(now.k, k)
        decision = self._config.guards.apply(target, stats, build_s=build, saved_s=saved)
        decision = distributed.agree(decision)
        now.reason, now.decided = decision.reason, True
        if decision.k != now.k:
            self._freeze(decision.k)

    def _freeze(self, k: int) -> None:
        """The freeze event, between two epochs."""
        now, began = self._progress, time.perf_counter()
        distributed.agree_on_buffers(self.model)
        before = self.phase
        self.phase = self._phases.enter(k, before=before)
        self._train_only_behind(k)
        now.k, now.codec = k, self.phase.codec
        now.reason = "; ".join(filter(None, (now.reason, self.phase.reason)))
        now.build_wall_s = time.perf_counter() - began
        distributed.wait_for_all()

    def _train_only_behind(self, k: int) -> None:
        names = [name for block in self._blocks[k:] for name in block]
        if set(names) != set(self.optimizer.names):
            self.optimizer.train_only(names)

    def _train_epoch(self) -> None:
        now, phase = self._progress, self.phase
        phase.network.train()
        network = distributed.parallel(phase.network)
        if self._config.compile:
            network.compile(backend=self._config.compile)
        loader = self._loader()
        num_batches = loader.num_batches(now.epoch)
        with closing(loader.epoch(now.epoch, start=now.batch)) as batches:
            last = time.perf_counter()
            for inputs, labels in batches:
                now.loss_sum += self._step(network, inputs, labels, now.batch / num_batches)
                now.wall_s += -last + (last := time.perf_counter())
                now.batch += 1
                every = self._config.checkpoint_batches
                if every and now.batch % every == 0 and now.batch < num_batches:
                    self._save()
                    last = time.perf_counter()
        if phase.prefix is not None:
            phase.prefix.assert_unchanged()

    def _step(self, network: nn.Module, inputs: Tensor, labels: Tensor, part: float) -> float:
        now = self._progress
        inputs, targets = self._config.augmentation.on_batch(
            inputs,
            labels,
            seed=self._config.seed,
            epoch=now.epoch,
            step=now.batch,
            num_classes=self._num_classes,
        )
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.amp):
            loss = functional.cross_entropy(network(inputs), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self._observer.after_backward()
        self.optimizer.step(progress=(now.epoch + part) / self._config.epochs)
        if not math.isfinite(value := loss.item()):
            raise FloatingPointError(
                f"The loss must stay finite, but is {value} in epoch {now.epoch} at "
                f"lr={self._config.lr}: lower lr."
            )
        return value

    def _loader(self) -> CacheLoader:
        return CacheLoader(
            self.phase.source,
            batch_size=self._config.batch_size,
            seed=self._config.seed,
            augmentation=self._config.augmentation,
            device=self._device,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
        )

    def _row(self) -> dict[str, Any]:
        now, cache = self._progress, self.phase.cache
        return {
            "epoch": now.epoch,
            "k": now.k,
            "loss": now.loss_sum / now.batch,
            "train_wall_s": now.wall_s,
            "build_wall_s": now.build_wall_s,
            "cache_bytes": cache.manifest.cache_bytes if cache else 0,
            "codec": now.codec,
            "reason": now.reason,
        }

    def _save(self) -> None:
        if self._checkpoint is not None and distributed.rank() == 0:
            state = {name: part.state_dict() for name, part in self._parts().items()}
            progress.save(self._checkpoint, self._progress, state)

    def _resume(self) -> None:
        found = progress.load(self._checkpoint) if self._checkpoint else None
        if found is not None:
            self._progress, state = found
            for name, part in self._parts().items():
                part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        """Everything with a state, by the name it has in a checkpoint."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "policy": self._policy,
            "observer": self._observer,
        }
