"""One rank of a training on several processes; prints a digest of its weights."""

import hashlib
import os
import sys

import torch
import torch.distributed as dist
from torch import nn

import zo


def train(rank: int, ranks: int, form: str, steps: int, port: int) -> str:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    generator = torch.Generator().manual_seed(rank)
    x = torch.randn(32, 8, generator=generator)
    y = torch.randint(0, 3, (32,), generator=generator)

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(x), y)

    if form == "data":
        optimizer = zo.ZO(model, lr=0.05, source="pool:size=127")
        closure = zo.averaged(loss)
    else:
        optimizer = zo.DirectionParallel(model, lr=0.05, source="pool:size=127", restore="delta")
        closure = loss
    for _ in range(steps):
        last = optimizer.step(closure)
    optimizer.flush()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    dist.destroy_process_group()
    return f"{hashlib.sha256(weights.numpy().tobytes()).hexdigest()} {last!r}"


if __name__ == "__main__":
    rank, ranks, form, steps, port = sys.argv[1:]
    print(train(int(rank), int(ranks), form, int(steps), int(port)), flush=True)
    os._exit(0)  # threads of gloo that are left over abort one exit of Python in a dozen
