"""A whole step per source, against two bare forwards and a literal MeZO step.

The timer covers ``step(closure)`` with the loss of one fixed batch of 32-token sequences; the
bound is the same closure called twice. Every arm keeps the same weights, since all have lr 0.
Arms with lookups have a model of their own, because what they add to looked-up rows is in the
model and would be in the other arms' time. The causal LM has none: its head shares the table.

    python benchmarks/zo_step.py [--rounds 7] [--models encoder "causal LM"]
"""

import argparse
import copy
from collections.abc import Callable

import torch
from harness import interleave, ratio, save, spread
from zo_mezo import LiteralMeZO
from zo_models import MODELS, loss_of

import zo

PERIODIC = ["pool", "lfsr_bank"]
SOURCES = [*PERIODIC, "rademacher", "gaussian"]


def cases_of(model: torch.nn.Module, batch: int) -> dict[str, Callable[[], object]]:
    closure = loss_of(model, batch=batch)
    cases = {"two forwards": lambda: (closure().item(), closure().item())}
    for address in SOURCES:
        cases[address] = stepping(model, closure, address)
        if address in PERIODIC and model.lookups:
            own = copy.deepcopy(model)
            case = stepping(own, loss_of(own, batch=batch), address, lookups=own.lookups)
            cases[f"{address}, lookups"] = case
    twin = copy.deepcopy(model)
    mezo = LiteralMeZO(twin, lr=0.0)
    twin_closure = loss_of(twin, batch=batch)
    cases["literal MeZO"] = lambda: mezo.step(twin_closure)
    return cases


def stepping(
    model: torch.nn.Module, closure: Callable[[], torch.Tensor], address: str, **options: object
) -> Callable[[], object]:
    optimizer = zo.ZO(model.parameters(), lr=0.0, source=address, **options)
    return lambda: optimizer.step(closure)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 4, 1])
    parser.add_argument("--models", nargs="+", default=["encoder", "causal LM"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, dict[str, object]] = {}
    for name, build in MODELS.items():
        if not name.startswith(tuple(given.models)):
            continue
        model = build().eval()
        for batch in given.batches:
            times = interleave(cases_of(model, batch), rounds=given.rounds)
            table = {case: spread(seconds) for case, seconds in times.items()}
            print(f"\n{name}, batch {batch} x 32: ms (quartiles), over two forwards, MeZO over it")
            for case, row in table.items():
                row["over_two_forwards"] = ratio(times, case, "two forwards")
                row["mezo_over_it"] = ratio(times, "literal MeZO", case)
                print(
                    f"  {case:18} {row['median']:9.1f} ({row['low']:.1f}-{row['high']:.1f})"
                    f" {row['over_two_forwards']:7.3f} {row['mezo_over_it']:7.2f}"
                )
            result[f"{name}, batch {batch}"] = table
    save("zo_step", {"unit": "ms", "steps": result})


if __name__ == "__main__":
    main()
