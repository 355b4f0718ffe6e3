"""What can be known to be wrong before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

import hwmodel
from freezelib.augment import get_view
from freezelib.cuts import find_cuts
from freezelib.models import get_model
from sweeps.config import SweepConfig, TrialConfig
from sweeps.space import make_trial
from sweeps.storage import data_root
from sweeps.tasks import load_task
from sweeps.trial import cut_at


def check_sweep(sweep: SweepConfig) -> None:
    """Check what a config alone cannot know: data, model, freeze points, views, technology.

    Raises:
        ValueError: A knob has a value that its task or model does not allow.
        MissingDataError: A data set is not here and cannot be had.
    """
    checked = set()
    for trial in _every_choice(sweep):
        what = (trial.task, trial.trunk.model, trial.cut, trial.cache.views, trial.hardware)
        if what not in checked:
            checked.add(what)
            _check_trial(trial)


def _every_choice(sweep: SweepConfig) -> Iterator[TrialConfig]:
    """Trials in which each choice of each axis occurs."""
    for arm in sweep.arms.values():
        first = {path: choices[0] for path, choices in arm.axes.items()}
        yield make_trial(sweep, arm, first)
        for path, choices in arm.axes.items():
            for choice in choices:
                yield make_trial(sweep, arm, {**first, path: choice})


def _check_trial(trial: TrialConfig) -> None:
    for address in trial.cache.views:
        get_view(address)
    hwmodel.load_technology(trial.hardware.technology)
    data = load_task(trial.task, data_root()).train
    if trial.train.batch_size > len(data):
        raise ValueError(
            f"train.batch_size must not exceed the {len(data)} training images, "
            f"but got {trial.train.batch_size}."
        )
    model = get_model(
        trial.trunk.model, in_channels=data.images.shape[1], num_classes=data.num_classes
    )
    if trial.cut:
        cut_at(find_cuts(model, data.read(slice(0, 2))), trial.cut)
