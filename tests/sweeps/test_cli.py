from __future__ import annotations

import json

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

FAST = ("--set", "train.steps=4", "--set", "trunk.steps=4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quikstart"], "Did you mean 'quickstart'"),
        (["run", "smoke", "--set", "train.stps=3"], "Did you mean 'train.steps'"),
        (["run", "smoke", "--set", "cache.codec=int9"], "Unknown codec 'int9'"),
        (["run", "smoke", "--set", "train.lr=-1"], "lr > 0 must hold"),
        (["run", "smoke", "--set", "cut=7"], "0 <= cut <= 4 must hold"),
        (["run", "smoke", "--set", "train.source=pool:size=x"], "size"),
        (["run", "smoke", "--set", "hardware.technology=cmos"], "cmos"),
        (["run", "smoke", "--set", "cache.views=[hflp]"], "Did you mean 'hflip'"),
        (["run", "smoke", "--set", "trial_cpus=64"], "64 CPU"),
        (["run", "smoke", "--set", "trial_gpus=64"], "64 GPU"),
        (["run", "smoke", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "smoke", "--name", "a/b", "--executor", "inline"], "letters, digits"),
        (["run", "smoke", "--storage", "/proc/none"], "--storage"),
        (["resume", "nothing"], "There is no sweep 'nothing'"),
        (["pareto", "nothing"], "There is no sweep 'nothing'"),
        (["hw", "score", "pol"], "pool"),
        (["cache", "gc", "--max-bytes", "-1"], "max-bytes >= 0"),
        (["cache", "step-down", "abc"], "There is no cache 'abc'"),
        (["run", "smoke", "--set", "freeze.policy=sometimes"], "Unknown policy"),
        (["run", "smoke", "--set", "cache.scorer=best"], "scorer in"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(freezo, arguments, message):
    done = freezo(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_mlflow_database_is_refused(freezo):
    done = freezo(
        "run", "smoke", "--executor", "inline", "--tracking-uri", "sqlite:////proc/x/db", *FAST
    )
    assert done.returncode == 2
    assert "tracking" in done.stderr


def test_a_sweep_from_run_to_report(freezo, tmp_path):
    done = freezo("run", "smoke", "--executor", "inline", "--name", "a", *FAST)
    assert done.returncode == 0, done.stderr
    assert "Feature caches: 2 distinct keys, 2 builds" in done.stdout
    assert "report/index.html" in done.stdout

    taken = freezo("run", "smoke", "--executor", "inline", "--name", "a")
    assert taken.returncode == 2
    assert "freezo resume a" in taken.stderr

    listed = json.loads(freezo("pareto", "a", "--json").stdout)
    wanted = {
        "accuracy", "cache_bytes", "build_wall_s", "train_wall_s", "lut", "ff", "bram",
        "power_mw", "distinct_directions", "config", "pareto",
    }  # fmt: skip
    assert len(listed["trials"]) == 6
    assert all(wanted <= trial.keys() for trial in listed["trials"])
    assert any(trial["pareto"] for trial in listed["trials"])

    resumed = freezo("resume", "a", "--executor", "inline", "--json")
    assert json.loads(resumed.stdout)["trials"] == listed["trials"]

    page = tmp_path / "runs" / "sweeps" / "a" / "report" / "index.html"
    page.unlink()
    assert freezo("report", "a").stdout.strip() == str(page)
    assert page.read_text().count("<svg") == 4


@pytest.fixture
def damaged(freezo, tmp_path):
    """A chunk of a sweep's cache that lost its last byte."""
    freezo("run", "smoke", "--executor", "inline", "--name", "a", *FAST)
    assert freezo("cache", "verify").returncode == 0
    chunk = next((tmp_path / "runs" / "caches").rglob("chunk-00000.arrow"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    return chunk


def test_a_damaged_cache_is_named_and_left_alone_if_asked_for(freezo, damaged):
    for _ in range(2):
        found = freezo("cache", "verify", "--no-repair", "--json")
        assert found.returncode == 1
        (row,) = json.loads(found.stdout)["damaged"]
        assert str(damaged) in row["damage"]
        assert row["outcome"] == ""


def test_a_damaged_cache_is_made_anew_from_the_command_line(freezo, damaged):
    mended = freezo("cache", "verify")
    assert mended.returncode == 1
    assert str(damaged) in mended.stdout
    assert "made anew" in mended.stdout
    assert freezo("cache", "verify").returncode == 0


def test_what_cannot_be_made_anew_says_why(freezo, damaged, tmp_path):
    for trunk in (tmp_path / "runs" / "trunks").glob("*.pt"):
        whole = torch.load(trunk, weights_only=True)
        whole["conv1.weight"] += 1
        torch.save(whole, trunk)
    assert "no longer what it was made of" in freezo("cache", "verify").stdout
    assert freezo("cache", "verify", "--no-repair").returncode == 1


def test_a_damaged_cache_is_mended_by_the_next_trial(freezo, damaged):
    assert freezo("run", "smoke", "--executor", "inline", "--name", "b", *FAST).returncode == 0
    assert freezo("cache", "verify").returncode == 0


def test_a_cache_of_two_planes_steps_down(freezo):
    two_planes = ("--set", "cache.codec=int8p", *FAST)
    freezo("run", "smoke", "--executor", "inline", "--name", "a", *two_planes)
    (before,) = json.loads(freezo("cache", "ls", "--json").stdout)
    freed = json.loads(freezo("cache", "step-down", before["key"], "--json").stdout)
    (after,) = json.loads(freezo("cache", "ls", "--json").stdout)
    assert after["cache_bytes"] == before["cache_bytes"] - freed["freed_bytes"]
    assert after["nrmse"] > 5 * before["nrmse"]
    assert freezo("cache", "step-down", before["key"]).returncode == 2
    assert freezo("cache", "verify").returncode == 0


def test_caches_are_listed_and_collected(freezo):
    freezo("run", "smoke", "--executor", "inline", "--name", "a", *FAST)
    listed = json.loads(freezo("cache", "ls", "--json").stdout)
    assert {row["codec"] for row in listed} == {"raw", "int8+lz4"}
    budget = min(row["cache_bytes"] for row in listed)
    assert (
        len(
            json.loads(freezo("cache", "gc", "--max-bytes", str(budget), "--json").stdout)[
                "deleted"
            ]
        )
        == 1
    )
    assert len(json.loads(freezo("cache", "ls", "--json").stdout)) == 1


def test_a_config_goes_out_as_yaml_and_comes_in_again(freezo, tmp_path):
    text = freezo("describe", "smoke", "--yaml", "--set", "cut=1").stdout
    (tmp_path / "mine.yaml").write_text(text)
    described = json.loads(freezo("describe", "--config", "mine.yaml", "--json").stdout)
    assert (
        described["trials"]
        == json.loads(freezo("describe", "smoke", "--set", "cut=1", "--json").stdout)["trials"]
    )


def test_a_failing_trial_ends_the_sweep_with_1_and_a_resume_tries_it_again(freezo):
    wild = ("--set", "train.lr=1.0e+9", "--set", "train.method=zo")
    done = freezo("run", "smoke", "--executor", "inline", "--name", "a", *FAST, *wild)
    assert done.returncode == 1
    assert "finite" in done.stdout
    assert freezo("resume", "a", "--executor", "inline").returncode == 1


@pytest.mark.parametrize("preset", ["quickstart", "search", "fashion", "cifar10", "smoke"])
def test_every_preset_is_listed_and_described(freezo, preset):
    assert preset in json.loads(freezo("presets", "--json").stdout)
    assert freezo("describe", preset).returncode == 0


def test_hw_score_prices_a_design(freezo):
    row = json.loads(freezo("hw", "score", "pool:size=4093", "--weights", "4096", "--json").stdout)
    assert row["ff"] > 0
    assert row["distinct_directions"] == 4093
