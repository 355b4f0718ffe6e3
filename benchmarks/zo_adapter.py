"""The adapter form against two bare forwards and against the same training in place.

Stacks of three square linear layers with tanh between them; the timer covers a whole step, the
bound two forwards of the untouched stack. Before that, a float64 stack is trained for 1,000 steps
in place, as an adapter, and as an adapter over a base of 8-bit weights.

    python benchmarks/zo_adapter.py [--rounds 9]
"""

import argparse
import copy

import torch
from harness import interleave, ratio, save, spread
from torch import nn

import zo

WIDTHS = (384, 1024, 2048, 4096)
BATCHES = (1, 4, 16)
SOURCES = ("pool:size=1021", "pool:size=4093")
FORMS = {"correlated": 0, "materialised": max(WIDTHS) ** 2 + 1, "measured": None}


def stack(width: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(width, width, bias=False), nn.Tanh()]
    return nn.Sequential(*layers)


def loss(output: torch.Tensor) -> torch.Tensor:
    return (output - 0.5).square().mean()


@torch.no_grad()
def step_times(width: int, batch: int, rounds: int) -> dict[str, list[float]]:
    x, bare = torch.randn(batch, width), stack(width)
    cases = {"two forwards": lambda: (loss(bare(x)).item(), loss(bare(x)).item())}
    for source in SOURCES:
        optimizer = zo.ZO(bare.parameters(), lr=0.0, source=source)
        cases[f"in place, {source}"] = lambda o=optimizer: o.step(lambda: loss(bare(x)))
        for form, threshold in FORMS.items():
            adapter = zo.Adapter(
                copy.deepcopy(bare), lr=0.0, source=source, correlate_from=threshold
            )
            cases[f"{form}, {source}"] = lambda a=adapter: a.step(x, loss)
    return interleave(cases, rounds=rounds)


def trained_apart(source: str, steps: int = 1000) -> dict[str, float]:
    """Return how far in-place and adapter training differ, relative to what they learned."""
    x = torch.randn(16, 128, dtype=torch.float64)
    placed, adapted, quantised = (stack(128).double() for _ in range(3))
    quantised = zo.quantise(quantised)
    before = placed(x).detach().clone()
    options = {"lr": 0.02, "source": source}
    optimizer, adapter = zo.ZO(placed, **options), zo.Adapter(adapted, correlate_from=0, **options)
    over_int8 = zo.Adapter(quantised, **options)
    first = loss(quantised(x)).item()
    for _ in range(steps):
        optimizer.step(lambda: loss(placed(x)))
        adapter.step(x, loss)
        last = over_int8.step(x, loss)
    with torch.no_grad():
        apart = (placed(x) - adapted(x)).norm() / (placed(x) - before).norm()
    return {"relative difference": apart.item(), "int8 first": first, "int8 last": last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    equal = {source: trained_apart(source) for source in SOURCES}
    for source, row in equal.items():
        print(f"1,000 steps, {source}: {row}")
    result = {}
    for width in WIDTHS:
        for batch in BATCHES:
            times = step_times(width, batch, rounds)
            table = {case: spread(seconds) for case, seconds in times.items()}
            print(f"\n3 x {width} x {width}, batch {batch}: ms, over two forwards")
            for case, row in table.items():
                row["over_two_forwards"] = ratio(times, case, "two forwards")
                print(f"  {case:30} {row['median']:8.2f} {row['over_two_forwards']:7.2f}")
            result[f"{width}, batch {batch}"] = table
    save("zo_adapter", {"unit": "ms", "equal": equal, "steps": result})


if __name__ == "__main__":
    main()
