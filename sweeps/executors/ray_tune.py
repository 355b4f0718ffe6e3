"""Trials under Ray Tune, side by side, on one machine or a cluster."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the ledger and MLflow suffice
os.environ.setdefault(
    "TUNE_DISABLE_SIGINT_HANDLER", "1"
)  # Ctrl-C is ours: stop, keep, say how to go on
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # whose tables ignore verbose=0
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.search import Searcher as TuneSearcher

from sweeps.config import SweepConfig, TrialConfig
from sweeps.executors import PreflightError
from sweeps.executors.stopping import sigterm_as_ctrl_c
from sweeps.ledger import Ledger
from sweeps.search import Searcher
from sweeps.sharing import share_through_ray, start_registry
from sweeps.storage import Storage
from sweeps.trial import run_trial
from sweeps.typed import from_dict, to_dict
from sweeps.watching import Watcher

_SCORES, _ERROR = "scores", "error"


class RayExecutor:
    """See :class:`sweeps.executors.Executor`.

    Args:
        address: Of a running cluster; None joins the one that ``ray job submit`` or
            ``RAY_ADDRESS`` names, and otherwise starts one here for as long as the sweep lasts.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS")

    def check(self, sweep: SweepConfig) -> None:
        """Hold a trial's resources against the cluster's nodes, or this machine's."""
        if self._address is None:
            _check_resources(sweep, [_this_machine()])
        else:
            _connect(self._address)
            _check_resources(sweep, _nodes())

    def run(self, ledger: Ledger, searcher: Searcher, storage: Storage, watcher: Watcher) -> None:
        """Run until the searcher has no more trials."""
        sweep = ledger.sweep
        with _cluster(self._address), sigterm_as_ctrl_c():  # Ray installs a handler of its own
            start_registry()
            logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the watchers tell
            tune.Tuner(
                _trainable(sweep, ledger, storage),
                tune_config=tune.TuneConfig(
                    search_alg=_AskTell(searcher),
                    num_samples=-1,  # until the searcher is done
                    max_concurrent_trials=_slots(sweep, _nodes()),
                    reuse_actors=True,  # an actor per trial costs seconds of start-up each
                ),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(ledger.folder),
                    callbacks=[_Bridge(watcher)],
                    verbose=0,
                ),
            ).fit()


def _trainable(sweep: SweepConfig, ledger: Ledger, storage: Storage) -> Any:
    """The trial as Tune calls it. Configs carry plain values and keys, never object references."""
    name = ledger.name

    def trial(config: dict[str, Any]) -> None:
        parsed = from_dict(TrialConfig, config["trial"])

        def report(step: int, metrics: dict[str, float]) -> None:
            tune.report({"step": step, "metrics": metrics})

        try:
            scores = run_trial(parsed, storage, report=report, share=share_through_ray)
        except Exception:  # as a result, since Tune knows the reason too late for its callbacks
            tune.report({_ERROR: traceback.format_exc()})
            return
        Ledger.open(storage, name).finish(parsed, scores)  # stands even if the driver is gone
        tune.report({_SCORES: scores})

    return tune.with_resources(trial, {"cpu": sweep.trial_cpus, "gpu": sweep.trial_gpus})


class _DriverOnly:
    """Tune snapshots its parts to restore a run; ours restores from the ledger instead."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _AskTell(_DriverOnly, TuneSearcher):
    """Our searcher as Tune sees it."""

    def __init__(self, searcher: Searcher) -> None:
        super().__init__()
        self._searcher = searcher
        self._open: dict[str, TrialConfig] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        trial = self._searcher.ask()
        if trial is None:
            return TuneSearcher.FINISHED
        self._open[trial_id] = trial
        return {"trial": to_dict(trial)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        scores = None if error or result is None else result.get(_SCORES)
        self._searcher.tell(self._open.pop(trial_id), scores)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a resume asks the ledger, not Tune's own snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("A sweep is resumed from its ledger, by `freezo resume`.")


class _Bridge(_DriverOnly, tune.Callback):
    """Tune's events as a watcher hears them."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._watcher.started(_config(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        if _SCORES in result:
            self._watcher.finished(_config(trial), result[_SCORES])
        elif _ERROR in result:
            self._watcher.failed(_config(trial), result[_ERROR])
        elif "metrics" in result:
            self._watcher.reported(_config(trial), result["step"], result["metrics"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._watcher.failed(
            _config(trial), "The trial's process was lost: killed, or out of memory."
        )


def _config(trial: Any) -> TrialConfig:
    return from_dict(TrialConfig, trial.config["trial"])


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Join a cluster, or start one of our own; leave it as it was found."""
    joined = ray.is_initialized()
    if not joined:
        _connect(address)
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


def _connect(address: str | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options["include_dashboard"] = False
    try:
        ray.init(address=address or "local", **options)
    except ConnectionError as error:
        raise PreflightError(
            f"A Ray cluster must answer at {address!r}, but none does ({error}). Start one with "
            "`ray start --head`, or leave --address out to have one for this sweep."
        ) from error


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _this_machine() -> dict[str, float]:
    import torch

    return {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}


def _check_resources(sweep: SweepConfig, nodes: list[dict[str, float]]) -> None:
    wanted = {"CPU": sweep.trial_cpus, "GPU": sweep.trial_gpus}
    if not any(_fits(wanted, node) for node in nodes):
        has = "; ".join(
            f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes
        )
        raise PreflightError(
            f"A trial must fit on one node, but it asks for {wanted['CPU']:g} CPU and "
            f"{wanted['GPU']:g} GPU and the nodes have: {has}. Lower trial_cpus or trial_gpus."
        )


def _slots(sweep: SweepConfig, nodes: list[dict[str, float]]) -> int:
    """Trials that fit side by side."""
    slots = 0
    for node in nodes:
        per_resource = [node.get("CPU", 0) // sweep.trial_cpus]
        if sweep.trial_gpus:
            per_resource.append(node.get("GPU", 0) // sweep.trial_gpus)
        slots += int(min(per_resource))
    return max(slots, 1)


def _fits(wanted: dict[str, float], node: dict[str, float]) -> bool:
    return all(node.get(name, 0) >= amount for name, amount in wanted.items())
