"""A real Ray: the same sweep, killed, resumed, interrupted, submitted as a job."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sweeps.storage import Storage

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
WALL_TIMES = {"build_wall_s", "train_wall_s", "step_wall_ms"}
LONG = ["--set", "train.steps=[60, 61, 62]", "--set", "trunk.steps=10"]  # 18 trials


def _environment(tmp_path, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
    return {**clean, "FREEZO_STORAGE": str(tmp_path / "runs"), "PYTHONUNBUFFERED": "1", **more}


def _freezo(tmp_path, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=_environment(tmp_path, **more),
        timeout=280,
    )


def _trials(tmp_path, name):
    return json.loads(_freezo(tmp_path, "pareto", name, "--json").stdout)["trials"]


def _results(tmp_path, name):
    paths = (tmp_path / "runs" / "sweeps" / name).glob("trials/*/result.json")
    return {path: path.stat().st_mtime_ns for path in paths}


def _wait_for_results(tmp_path, name, count, process):
    deadline = time.monotonic() + 240
    while len(_results(tmp_path, name)) < count:
        assert process.poll() is None, "the sweep ended early"
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _start(tmp_path, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=_environment(tmp_path),
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ray_and_inline_come_to_the_same_scores(tmp_path):
    for executor in ("ray", "inline"):
        done = _freezo(tmp_path, "run", "smoke", "--executor", executor, "--name", executor)
        assert done.returncode == 0, done.stdout + done.stderr
    by_ray, inline = (
        {
            trial["id"]: {k: v for k, v in trial.items() if k not in WALL_TIMES | {"pareto"}}
            for trial in _trials(tmp_path, executor)
        }
        for executor in ("ray", "inline")
    )
    assert len(by_ray) == 6
    assert by_ray == inline


def test_a_killed_sweep_resumes_where_it_was(tmp_path):
    import mlflow

    sweep = _start(tmp_path, "run", "smoke", "--name", "a", *LONG)
    _wait_for_results(tmp_path, "a", 4, sweep)
    sweep.send_signal(signal.SIGKILL)
    sweep.communicate()
    time.sleep(2)  # a trial that was about to end may still write
    before = _results(tmp_path, "a")
    assert 4 <= len(before) < 18

    resumed = _freezo(tmp_path, "resume", "a")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = _results(tmp_path, "a")
    assert len(after) == 18
    assert before.items() <= after.items()  # what was finished was not run again

    client = mlflow.MlflowClient(Storage(tmp_path / "runs").tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("freezo").experiment_id])
    assert set(Counter(run.data.tags["freezo.trial_id"] for run in runs).values()) == {1}
    assert len(runs) == 19
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_keeps_what_it_has_and_says_how_to_go_on(tmp_path, number):
    sweep = _start(tmp_path, "run", "smoke", "--name", "a", *LONG)
    _wait_for_results(tmp_path, "a", 2, sweep)
    sweep.send_signal(number)
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, output
    assert "freezo resume a" in output
    assert (tmp_path / "runs" / "sweeps" / "a" / "report" / "index.html").exists()
    assert len(_trials(tmp_path, "a")) >= 2


def test_trials_read_caches_from_shared_memory_without_a_copy(tmp_path):
    script = """
import sys, ray, pyarrow as pa
from pathlib import Path
from freezelib.cache import CacheStore
from sweeps.sharing import share_through_ray, start_registry
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
cache, = CacheStore(Path(sys.argv[1]) / "caches").entries()
start_registry()
before = pa.total_allocated_bytes()
shared = share_through_ray(cache)
tables = [shared._read_table(n) for n in range(shared.num_chunks)]
assert all(t.equals(cache.read_verified(n)) for n, t in enumerate(tables))
read = pa.total_allocated_bytes() - before
assert read < 0.05 * sum(t.nbytes for t in tables), read
ray.kill(ray.get_actor("freezo-feature-caches", namespace="freezo"))
again = share_through_ray(cache)          # no registry: the files
assert again.window([0]).labels.equal(shared.window([0]).labels)
print("shared")
"""
    _freezo(
        tmp_path, "run", "smoke", "--executor", "inline", "--name", "a",
        "--set", "cut=3", "--set", "cache.codec=int8+lz4",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        env=_environment(tmp_path),
        timeout=200,
    )
    assert done.stdout.splitlines()[-1:] == ["shared"], done.stdout + done.stderr


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_same_command_runs_as_a_ray_job_behind_a_token(tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    # Next to the interpreter that runs the tests, so that the job's `freezo` is this one.
    auth["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = _environment(tmp_path, **auth)
    port, dashboard = _free_port(), _free_port()

    def ray(*arguments, **options):
        return subprocess.run(
            ["ray", *arguments], capture_output=True, text=True, timeout=240, **options
        )

    temp = f"--temp-dir=/tmp/freezo-ray-{os.getpid()}"
    started = ray(
        "start", "--head", f"--port={port}", f"--dashboard-port={dashboard}", "--num-cpus=2",
        "--disable-usage-stats", temp, env=environment,
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    address = f"http://127.0.0.1:{dashboard}"
    try:
        stranger = _environment(tmp_path, HOME=str(tmp_path), PATH=auth["PATH"])
        assert ray("job", "list", "--address", address, env=stranger).returncode != 0
        command = ["freezo", "run", "smoke", "--name", "job", "--storage", str(tmp_path / "runs")]
        done = ray(
            "job", "submit", "--address", address, "--working-dir", ".", "--", *command,
            env=environment, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(_trials(tmp_path, "job")) == 6
    finally:
        ray("stop", env=environment)
