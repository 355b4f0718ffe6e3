import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["freezelib", "hwmodel", "sweeps", "zo", "benchmarks"]
DOOR = ROOT / "freezelib" / "vision.py"


def in_a_fresh_process(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "from freezelib import vision; assert vision.torchvision.__version__",
        "from freezelib.vision import models; models.resnet18(num_classes=2)",
        "from freezelib.vision import datasets; datasets.CIFAR10",
        "import freezelib.vision; from torchvision.transforms import v2; v2.RandomCrop(4)",
    ],
    ids=["door", "models", "datasets", "transforms"],
)
def test_torchvision_is_imported_without_a_warning(code):
    done = in_a_fresh_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_package_is_imported_without_torch():
    done = in_a_fresh_process(
        "import sys, freezelib, freezelib.codecs; assert 'torch' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def imports_torchvision(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == "torchvision" for name in names):
            return True
    return False


@pytest.mark.parametrize("package", PACKAGES)
def test_there_is_one_door_to_torchvision(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    guilty = [path for path in files if imports_torchvision(path.read_text())]
    assert guilty == ([DOOR] if package == "freezelib" else [])


@pytest.mark.parametrize(
    "line", ["import torchvision.ops", "def f():\n  from torchvision import io"]
)
def test_the_scan_finds_what_it_looks_for(line):
    assert imports_torchvision(line)
    assert not imports_torchvision("from freezelib.vision import models")
