"""The container files parse and agree, and the entrypoint does what they ask of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
ENTRYPOINT = DOCKER / "entrypoint.sh"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
OURS = {name: s for name, s in COMPOSE["services"].items() if "build" in s}


def _entrypoint(tmp_path, *arguments, **environment):
    """Run the entrypoint with stand-ins that print how they were called."""
    for program in ("ray", "mlflow"):
        stand_in = tmp_path / program
        stand_in.write_text(f'#!/bin/sh\necho {program} "$@"\n')
        stand_in.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(ENTRYPOINT), *arguments],
        capture_output=True,
        text=True,
        env={"PATH": path, **environment},
    )


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("secret")
    return {"RAY_AUTH_TOKEN_PATH": str(path)}


def test_every_role_in_the_compose_file_is_one_of_the_entrypoint(tmp_path, token):
    (tmp_path / "password").write_text("pw")
    for service in OURS.values():
        role = service.get("command") or service["entrypoint"][1:]
        done = _entrypoint(
            tmp_path, *role, POSTGRES_PASSWORD_FILE=str(tmp_path / "password"), **token
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0] in ("ray", "mlflow")


@pytest.mark.parametrize("role", [["head"], ["worker", "head:6379"], ["submit", "smoke"]])
def test_no_role_of_ray_starts_without_a_token(tmp_path, role):
    done = _entrypoint(tmp_path, *role, RAY_AUTH_TOKEN_PATH=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "no Ray token" in done.stderr


def test_the_database_s_password_comes_from_the_secret(tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    done = _entrypoint(tmp_path, "mlflow", POSTGRES_PASSWORD_FILE=str(tmp_path / "password"))
    assert "postgresql://freezo:s3cret@database/mlflow" in done.stdout


def test_a_submitted_sweep_is_the_same_command_line(tmp_path, token):
    done = _entrypoint(tmp_path, "submit", "smoke", "--set", "cut=[1, 2]", **token)
    assert done.stdout.strip().endswith("-- python -m sweeps run smoke --set cut=[1, 2]")


def test_anything_that_is_no_role_is_a_command(tmp_path):
    assert _entrypoint(tmp_path, "echo", "hello").stdout == "hello\n"


def test_every_secret_volume_and_dependency_is_declared():
    for service in COMPOSE["services"].values():
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert set(service.get("depends_on", {})) <= COMPOSE["services"].keys()
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= COMPOSE["volumes"].keys()


def test_servers_have_health_checks_ray_has_shared_memory_and_ports_stay_on_this_machine():
    services = COMPOSE["services"]
    assert all("healthcheck" in services[name] for name in ("head", "mlflow", "database"))
    assert all("shm_size" in services[name] for name in ("head", "worker", "submit"))
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_that_the_image_copies_is_in_its_context():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


def test_the_shell_scripts_parse():
    for script in (ENTRYPOINT, ROOT / ".ci" / "run"):
        subprocess.run(["bash", "-n", str(script)], check=True)
