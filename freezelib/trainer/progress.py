"""How far a training has come, and the checkpoint that says so."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from freezelib.cache.files import write_whole


@dataclass(kw_only=True)
class Progress:
    """Where a training stands.

    Attributes:
        epoch: The epoch that is under way, or is next.
        batch: Batches of it that are done.
        decided: Whether the policy was asked before this epoch.
        k: The freeze point.
        codec: The cache's, if there is one.
        reason: Why it is frozen there.
        build_wall_s: What the last freeze event took.
        loss_sum: Sum of the losses of the batches that are done.
        wall_s: Seconds that they took, reading included.
        rows: One for each finished epoch.
    """

    epoch: int = 0
    batch: int = 0
    decided: bool = False
    k: int = 0
    codec: str = ""
    reason: str = ""
    build_wall_s: float = 0.0
    loss_sum: float = 0.0
    wall_s: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, progress: Progress, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all. The cache is no part of it."""
    data = io.BytesIO()
    random = torch.get_rng_state()  # a suffix may have dropout
    torch.save({"progress": asdict(progress), "random": random, **state}, data)
    write_whole(path, data.getbuffer())


def load(path: Path) -> tuple[Progress, dict[str, Any]] | None:
    """The checkpoint at a path, if there is one; also sets torch's global random state."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    torch.set_rng_state(state.pop("random"))
    return Progress(**state.pop("progress")), state
