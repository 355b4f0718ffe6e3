"""A training that saves every five steps, continues where it finds a checkpoint, and may die."""

import hashlib
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

import zo


def train(path: Path, restore: str, die_at: int) -> str:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
    optimizer = zo.ZO(model, lr=0.05, source="lfsr_bank", restore=restore, momentum=0.5)
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if restore != "delta":  # a delta goes on top of the weights that training began with
            model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    while optimizer.steps < 30:
        if optimizer.steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        optimizer.step(lambda: nn.functional.cross_entropy(model(x), y))
        if optimizer.steps % 5 == 0:
            state = {"optimizer": optimizer.state_dict(), "model": model.state_dict()}
            torch.save(state, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
    optimizer.flush()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    return hashlib.sha256(weights.numpy().tobytes()).hexdigest()


if __name__ == "__main__":
    print(train(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
