"""One pass over the weights per source, against the stream bound and a literal MeZO pass.

The timer covers the pass alone. The bound is an in-place scalar add of one flat tensor of as many
float32 numbers. ``one`` is a pass with one perturbation, ``fused`` one that restores, learns and
perturbs anew.

    python benchmarks/zo_sweep.py [--rounds 9]
"""

import argparse
import copy
from collections.abc import Callable

import torch
from harness import interleave, ratio, save, spread
from zo_mezo import LiteralMeZO
from zo_models import MODELS

import zo
from zo.sweep import Sweep
from zo.weights import lay_out

SOURCES = ["pool", "lfsr_bank", "rademacher", "uniform", "gaussian"]


def cases_of(model: torch.nn.Module) -> dict[str, Callable[[], object]]:
    weights = lay_out([{"params": list(model.parameters())}])
    count = sum(weight.flat.numel() for weight in weights)
    flat, mezo = torch.zeros(count), LiteralMeZO(copy.deepcopy(model), lr=0.0)
    cases = {"scalar add": lambda: flat.add_(1e-9), "literal MeZO": lambda: mezo.sweep(1e-9)}
    for address in SOURCES:
        source = zo.get_source(address).bind(count)
        sweep = Sweep(source.filler(torch.float32, torch.device("cpu")), weights)
        cases[f"{address}, one"] = lambda sweep=sweep: sweep({1: 1e-9})
        cases[f"{address}, fused"] = lambda sweep=sweep: sweep({1: 1e-9, 2: 1e-9})
    return cases


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    result = {}
    for name, build in MODELS.items():
        times = interleave(cases_of(build()), rounds=rounds)
        table = {case: spread(seconds) for case, seconds in times.items()}
        print(f"\n{name}: ms per pass (quartiles), times scalar add, MeZO over it")
        for case, row in table.items():
            row["over_scalar_add"] = ratio(times, case, "scalar add")
            row["mezo_over_it"] = ratio(times, "literal MeZO", case)
            print(
                f"  {case:18} {row['median']:9.2f} ({row['low']:.2f}-{row['high']:.2f})"
                f" {row['over_scalar_add']:8.2f} {row['mezo_over_it']:8.1f}"
            )
        result[name] = table
    save("zo_sweep", {"unit": "ms", "passes": result})


if __name__ == "__main__":
    main()
