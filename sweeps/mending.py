"""Damaged caches mended from what their manifests say of their origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freezelib.cache import CacheError, CacheStore, DamagedChunkError, FeatureCache
from sweeps.config import TrialConfig
from sweeps.storage import Storage, data_root
from sweeps.tasks import load_task
from sweeps.trial import cut_model
from sweeps.trunk import get_trunk
from sweeps.typed import from_dict


class CannotMendError(RuntimeError):
    """A cache cannot be made anew from here."""


def mend(storage: Storage) -> Iterator[tuple[CacheError, str]]:
    """Every damage in a storage, with what became of it.

    Yields:
        The damage, and ``"made anew"`` or why it was not.
    """
    store = CacheStore(storage.caches)
    for problem in store.verify():
        if not isinstance(problem, DamagedChunkError):
            yield problem, "the next trial that needs it makes it anew"
            continue
        try:
            _mend_chunk(FeatureCache.open(problem.path.parent), store, storage)
        except (CannotMendError, CacheError) as error:
            yield problem, str(error)
        else:
            yield problem, "made anew"


def _mend_chunk(damaged: FeatureCache, store: CacheStore, storage: Storage) -> None:
    prefix, data = _parts(damaged.manifest.origin, storage)
    if (prefix.digest, data.fingerprint) != (
        damaged.recipe.prefix_digest,
        damaged.recipe.data_fingerprint,
    ):
        raise CannotMendError("its trunk or its data are no longer what it was made of")
    cache = store.get_or_build(damaged.recipe, prefix=prefix, data=data)
    for number in range(cache.num_chunks):
        cache.read_verified(number)


def _parts(origin: Any, storage: Storage) -> tuple[Any, Any]:
    """The frozen prefix and the training images of the trial that a cache was built for."""
    if not origin:
        raise CannotMendError("the next training that needs it makes it anew")
    trial = from_dict(TrialConfig, origin)
    task = load_task(trial.task, data_root())
    model = get_trunk(trial.trunk, task.pretrain, folder=storage.trunks)
    halves = cut_model(model, trial.cut, example_input=task.train.read(slice(0, 2)))
    return halves.prefix, task.train
