"""The only door to torchvision.

A CUDA build of torchvision cannot load its native operators next to a CPU build of torch, and then
its import fails because shape-only kernels are registered for operators that nobody declared.
Declaring those two schemas first is all that the import needs; models, transforms and data sets
are pure Python and work. Beside a matching torch the native operators load and nothing is
declared.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import library

_UNDECLARED = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _native_operators_load() -> bool:
    """Whether torchvision's compiled operators load beside this torch."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # not installed: the import below says so better than we could
    try:
        for native in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(str(native))
        return hasattr(torch.ops.torchvision, "nms")
    except (OSError, RuntimeError):
        return False


# Module level, because the declarations vanish with the object that made them.
_fragment: library.Library | None = None
if not _native_operators_load():
    _fragment = library.Library("torchvision", "FRAGMENT")
    for _name in _UNDECLARED:
        _fragment.define(_name + _SCHEMA)

import torchvision  # noqa: E402
from torchvision import datasets, models, transforms  # noqa: E402

__all__ = ["datasets", "models", "torchvision", "transforms"]
