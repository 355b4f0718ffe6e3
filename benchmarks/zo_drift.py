"""How far weights drift in 10,000 steps that learn nothing, per precision and restore mode.

With lr 0 every step perturbs and restores 100,000 weights of N(0, 0.03^2) and nothing else; what
is left over is rounding. The peer is the literal form, plus, minus twice, plus.

    python benchmarks/zo_drift.py [--steps 10000]
"""

import argparse

import torch
from harness import save
from zo_mezo import LiteralMeZO

import zo

WEIGHTS = 100_000
ARMS = [
    ("float32", "literal MeZO"),
    ("float16", "literal MeZO"),
    ("bfloat16", "literal MeZO"),
    ("float32", "lazy"),
    ("float32", "eager"),
    ("float64", "lazy"),
    *(
        (dtype, mode)
        for dtype in ("float32", "float16", "bfloat16")
        for mode in ("master", "delta")
    ),
    ("float32", "fixed"),
    ("float16", "fixed"),
]


def drift(dtype: str, mode: str, source: str, steps: int) -> float:
    """Return the root mean square difference to the initial weights."""
    module = torch.nn.Module()
    start = 0.03 * torch.randn(WEIGHTS, generator=torch.Generator().manual_seed(0))
    module.weight = torch.nn.Parameter(start.to(getattr(torch, dtype)))
    if mode == "literal MeZO":
        stepper = LiteralMeZO(module, lr=0.0)
    else:
        stepper = zo.ZO(module, lr=0.0, source=source, restore=mode)
        if mode == "fixed":  # its first step moves the weights to the grid
            stepper.step(lambda: torch.tensor(0.0))
            stepper.flush()
    before = module.weight.detach().clone()
    for _ in range(steps):
        stepper.step(lambda: torch.tensor(0.0))
    if isinstance(stepper, zo.ZO):
        stepper.flush()
    return (module.weight.detach().double() - before.double()).square().mean().sqrt().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    result = {}
    print(f"rms drift after {steps} steps, and in units of eps = 1e-3")
    for dtype, mode in ARMS:
        for source in ("-",) if mode == "literal MeZO" else ("pool", "lfsr_bank"):
            rms = drift(dtype, mode, source, steps)
            result[f"{dtype}, {mode}, {source}"] = rms
            print(f"  {dtype:9} {mode:13} {source:10} {rms:.2e} {rms / 1e-3:8.2g}", flush=True)
    save("zo_drift", {"unit": "rms of the weights' change", "steps": steps, "drift": result})


if __name__ == "__main__":
    main()
