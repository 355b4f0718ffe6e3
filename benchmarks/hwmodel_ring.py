"""Ring against barrel: one stream, two prices.

    python benchmarks/hwmodel_ring.py [--synth]

Compares whole periods of the streams and the price of both banks; ``--synth`` adds Yosys.
"""

import argparse

import numpy as np
from reporting import write_result

from hwmodel import LfsrBank, asic_area, compare, synthesize

SHAPES = [(7, 8), (15, 8), (31, 8), (31, 14), (63, 8), (127, 9)]
ASIC = ["sky130-fitted", "nangate45-fitted"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synth", action="store_true", help="also synthesise with Yosys")
    options = parser.parse_args()
    rows = [row(num_rngs, bits, synth=options.synth) for num_rngs, bits in SHAPES]
    for found in rows:
        print(found)
    assert all(found["identical"] for found in rows)
    print(write_result("hwmodel_ring", n=len(rows), result={"banks": rows}))


def row(num_rngs: int, bits: int, *, synth: bool) -> dict:
    ring = LfsrBank(num_rngs=num_rngs, bits=bits)
    barrel = LfsrBank(num_rngs=num_rngs, bits=bits, rotation="barrel")
    length = ring.period_clocks * num_rngs
    savings = compare(barrel, ring, technology="rapidsilicon-published", clock_mhz=100)
    found = {
        "bank": f"{num_rngs}x{bits}",
        "codes compared": length,
        "identical": np.array_equal(ring.codes(0, length), barrel.codes(0, length)),
    }
    for name in ("lut", "ff", "power_mw"):
        saving = savings[name]
        found[name] = {"ring": saving.second, "barrel": saving.first, "%": saving.relative_percent}
    for technology in ASIC:
        gates = [asic_area(bank, technology).gate_equivalents for bank in (ring, barrel)]
        found[f"{technology} gate equivalents"] = dict(zip(("ring", "barrel"), gates, strict=True))
    if synth:
        found["Yosys"] = {"ring": vars(synthesize(ring)), "barrel": vars(synthesize(barrel))}
    return found


if __name__ == "__main__":
    main()
