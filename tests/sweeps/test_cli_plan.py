from __future__ import annotations

import json
import shlex

import pytest

from sweeps.cli.planning import parse_bytes
from sweeps.config import SweepConfig
from sweeps.overrides import apply_overrides

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SMALL = ("--cut", "2", "--set", "trunk.steps=2", "--set", "task.train_samples=200")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500000", 500_000),
        ("1_000", 1000),
        ("100MB", 100_000_000),
        ("1.5 GB", 1_500_000_000),
        ("2kb", 2000),
        ("1MiB", 2**20),
        ("1Gi", 2**30),
    ],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1TB", "1.MB", "ten"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="A size reads"):
        parse_bytes(text)


def test_a_plan_shows_its_table_and_ends_with_the_settings(freezo):
    done = freezo("cache", "plan", *SMALL, "--views", "hflip", "--budget", "10MB")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith(">") for line in lines) == 1
    words = shlex.split(lines[-1])
    assert words[::2] == ["--set"] * (len(words) // 2)
    sweep = apply_overrides(SweepConfig(), words[1::2])
    assert sweep.base.cut == 2
    assert sweep.base.cache.views == ("hflip",)


def test_the_settings_build_the_cache_that_was_planned(freezo):
    plan = json.loads(
        freezo(
            "cache", "plan", *SMALL, "--views", "hflip", "--shift-pixels", "2",
            "--budget", "80kB", "--json",
        ).stdout
    )  # fmt: skip
    chosen = plan["chosen"]
    assert chosen in plan["candidates"]
    assert chosen["cache_bytes"] <= plan["budget_bytes"] == 80_000
    assert plan["num_samples"] == 200
    steps = [f"--set={setting}" for setting in [*plan["settings"], "train.steps=2"]]
    ran = freezo("run", "smoke", "--executor", "inline", "--name", "a", "--set", "seed=0", *steps)
    assert ran.returncode == 0, ran.stderr
    (row,) = [
        row
        for row in json.loads(freezo("cache", "ls", "--json").stdout)
        if row["codec"] == chosen["codec"]
    ]
    assert row["cache_bytes"] == pytest.approx(chosen["cache_bytes"], rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "10MB"], "give --cut K"),
        (["--cut", "99", "--budget", "10MB"], "0 <= cut <= 4 must hold"),
        (["--cut", "2", "--budget", "lots"], "A size reads"),
        (["--cut", "2", "--budget", "1kB"], "raise it, cut deeper"),
        (["--cut", "2", "--budget", "1MB", "--views", "hflp"], "Did you mean 'hflip'"),
        (["--cut", "2", "--budget", "1MB", "--set", "trunk.stps=1"], "Did you mean 'trunk.steps'"),
        (["--cut", "2", "--budget", "1MB", "--set", "trunk.steps"], "path=value"),
        (["--cut", "2", "--budget", "1MB", "--task", "digts"], "Did you mean 'digits'"),
        (["--cut", "2"], "--budget"),
    ],
)
def test_bad_input_of_a_plan_ends_with_2_and_says_what_to_do(freezo, arguments, message):
    done = freezo("cache", "plan", "--set", "trunk.steps=2", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_leave_out_what_does_not_act_and_nothing_is_built(freezo):
    plan = json.loads(freezo("cache", "plan", *SMALL, "--budget", "10MB", "--json").stdout)
    assert {setting.partition("=")[0] for setting in plan["settings"]} <= {
        "cut", "trunk.steps", "task.train_samples", "cache.codec"
    }  # fmt: skip
    assert json.loads(freezo("cache", "ls", "--json").stdout) == []
