"""The arrows of the house, and the promise that importing is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "hwmodel": set(),
    "zo": {"hwmodel"},
    "freezelib": set(),
    "sweeps": {"hwmodel", "zo", "freezelib"},
}
FORBIDDEN = {
    "hwmodel": {"torch", "torchvision", "ray", "mlflow"},
    "zo": {"torchvision", "ray", "mlflow", "pyarrow"},
    "freezelib": {"ray", "mlflow", "optuna"},
    "sweeps": set(),
}


def _imports(package):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path, name in _imports(package)
        if (name in MAY_IMPORT and name not in MAY_IMPORT[package] | {package})
        or name in FORBIDDEN[package]
    ]
    assert not wrong


@pytest.mark.parametrize("module", ["sweeps", "sweeps.cli", "sweeps.presets", "freezelib", "zo"])
def test_importing_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; print(*{{'ray', 'mlflow', 'torch', 'pyarrow'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", ["freezelib", "zo", "hwmodel"])
def test_every_public_name_can_be_had(name):
    module = __import__(name)
    assert all(getattr(module, public) is not None for public in module.__all__)
    with pytest.raises(AttributeError):
        getattr(module, "no_such_name")  # noqa: B009
