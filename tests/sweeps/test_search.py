from __future__ import annotations

from dataclasses import replace

import pytest

from sweeps.config import Arm, SweepConfig
from sweeps.presets import quickstart, search
from sweeps.search import make_searcher
from sweeps.space import grid


def _scores(trial):
    """Better where the freeze is early, dearer where it is late: something to learn."""
    return {
        "accuracy": 1 - 0.1 * trial.cut,
        "cache_bytes": 100 * trial.cut,
        "train_wall_s": 1.0,
        "train_memory_bytes": 10 - trial.cut,
        "lut": 0,
        "ff": 0,
        "power_mw": 0.0,
    }


def _run(searcher, limit=1000):
    asked = []
    while len(asked) < limit and (trial := searcher.ask()) is not None:
        searcher.tell(trial, _scores(trial))
        asked.append(trial)
    return asked


SAMPLED = [replace(search(), search=name, num_trials=12) for name in ("random", "optuna")]


@pytest.mark.parametrize("sweep", [quickstart(), *SAMPLED], ids=["grid", "random", "optuna"])
class TestEverySearcher:
    def test_no_trial_is_asked_twice(self, sweep):
        ids = [trial.id for trial in _run(make_searcher(sweep))]
        assert len(ids) == len(set(ids)) == (sweep.num_trials or len(list(grid(sweep))))

    def test_a_resumed_search_asks_for_the_rest_and_no_finished_trial(self, sweep):
        before = _run(make_searcher(sweep), limit=5)
        after = _run(make_searcher(sweep, [(trial, _scores(trial)) for trial in before]))
        ids = [trial.id for trial in before + after]
        assert len(ids) == len(set(ids)) == (sweep.num_trials or len(list(grid(sweep))))

    def test_the_same_seed_asks_for_the_same_trials(self, sweep):
        first, second = (_run(make_searcher(sweep)) for _ in range(2))
        assert [trial.id for trial in first] == [trial.id for trial in second]

    def test_a_failed_trial_does_not_stop_it(self, sweep):
        searcher = make_searcher(sweep)
        searcher.tell(searcher.ask(), None)
        assert searcher.ask() is not None


@pytest.mark.parametrize("name", ["random", "optuna"])
def test_a_space_that_is_used_up_ends_the_search(name):
    sweep = SweepConfig(search=name, num_trials=50, arms={"a": Arm(axes={"cut": (0, 1, 2)})})
    assert {trial.cut for trial in _run(make_searcher(sweep))} == {0, 1, 2}


def test_the_quickstart_covers_what_it_promises():
    trials = list(grid(quickstart()))
    zeroth_order = [t for t in trials if t.train.method == "zo"]
    assert len(trials) >= 16
    assert len({t.cut for t in trials}) >= 3
    assert len({t.cache.codec for t in trials if t.cut}) >= 3
    assert len({t.cache.similarity_threshold for t in trials if t.cut and t.cache.views}) >= 3
    assert len({t.train.source for t in zeroth_order}) >= 4
    assert len(zeroth_order) < len(trials)
