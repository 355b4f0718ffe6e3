"""Two processes, data-parallel: bytes per step and whether the weights stay bit-identical.

python benchmarks/zo_distributed.py [--steps 200]
"""

import argparse
import hashlib
import socket
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from harness import save
from torch import nn

import zo

FORMS = ("data, in place", "data, delta", "directions, delta")


def rank_main(rank: int, form: str, steps: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    generator = torch.Generator().manual_seed(rank)
    x = torch.randn(64, 64, generator=generator)
    y = torch.randint(0, 10, (64,), generator=generator)
    sent = _count_bytes()

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(x), y)

    restore = "lazy" if "in place" in form else "delta"
    options = {"lr": 1e-3, "source": "pool", "restore": restore}
    parallel = form.startswith("directions")
    optimizer = (zo.DirectionParallel if parallel else zo.ZO)(model, **options)
    closure = loss if parallel else zo.averaged(loss)
    for _ in range(steps):
        optimizer.step(closure)
    optimizer.flush()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    digest = hashlib.sha256(weights.numpy().tobytes()).hexdigest()
    Path(folder, str(rank)).write_text(f"{digest} {sum(sent) / steps}")
    dist.destroy_process_group()


def _count_bytes() -> list[int]:
    """Return a list to which every collective from now on adds the bytes of its input."""
    sent: list[int] = []
    reduce, gather = dist.all_reduce, dist.all_gather

    def counted_reduce(tensor: torch.Tensor, **options: object) -> object:
        sent.append(tensor.nbytes)
        return reduce(tensor, **options)

    def counted_gather(out: list[torch.Tensor], mine: torch.Tensor, **options: object) -> object:
        sent.append(mine.nbytes)
        return gather(out, mine, **options)

    dist.all_reduce, dist.all_gather = counted_reduce, counted_gather
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    result = {}
    for form in FORMS:
        with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.close()
            mp.spawn(rank_main, (form, steps, port, folder), nprocs=2)
            told = [Path(folder, str(rank)).read_text().split() for rank in range(2)]
        identical = told[0][0] == told[1][0]
        result[form] = {"identical": identical, "bytes_per_step_and_rank": float(told[0][1])}
        print(f"{form:18} bit-identical: {identical}, bytes per step and rank: {told[0][1]}")
    save("zo_distributed", {"steps": steps, "weights": 19_210, "forms": result})


if __name__ == "__main__":
    main()
