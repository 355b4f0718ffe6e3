"""Golden stream = cycle model = emitted Verilog, every bit, for the catalogue and random designs.

    python benchmarks/hwmodel_bits.py [--cycles 2000] [--random 50] [--verilator 4]

Every design runs under Icarus Verilog; the first designs of the catalogue also run under
Verilator, which compiles C++ and so takes long per design.
"""

import argparse
import shutil
from collections.abc import Iterator

import numpy as np
from reporting import write_result

from hwmodel import CATALOG, Design, get_design, simulate_verilog
from hwmodel.gf2 import coprime_leap

KINDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--random", type=int, default=50)
    parser.add_argument("--verilator", type=int, default=4, help="designs also under Verilator")
    options = parser.parse_args()
    designs = {name: entry.design for name, entry in CATALOG.items()}
    designs |= {design.spec: design for design in random_designs(options.random)}
    compiled = list(designs)[: options.verilator] if shutil.which("verilator") else []
    bits, failures = 0, []
    for name, design in designs.items():
        levels = check(design, options.cycles, verilator=name in compiled)
        bits += options.cycles * design.numbers_per_cycle * design.word_bits
        failures += [f"{name}: {level}" for level, equal in levels.items() if not equal]
        print(f"{name:80s} {levels}", flush=True)
    print(f"{len(designs)} designs, {options.cycles} cycles, {bits:,} bits, {failures=}")
    result = {
        "cycles": options.cycles,
        "bits": bits,
        "failures": failures,
        "also under Verilator": compiled,
        "designs": list(designs),
    }
    print(write_result("hwmodel_bits", n=len(designs), result=result))


def check(design: Design, cycles: int, *, verilator: bool) -> dict[str, bool]:
    """Return, by level, whether every bit equals the golden stream."""
    golden = design.codes(0, cycles * design.numbers_per_cycle).reshape(cycles, -1)
    rows = {
        "cycle model": design.simulate(cycles).codes,
        "icarus": simulate_verilog(design, cycles),
    }
    if verilator:
        rows["verilator"] = simulate_verilog(design, cycles, simulator="verilator")
    return {level: np.array_equal(codes, golden) for level, codes in rows.items()}


def random_designs(count: int) -> Iterator[Design]:
    """Yield designs of all kinds with random parameters, the same ones every time."""
    rng = np.random.default_rng(0)
    for place in range(count):
        yield get_design(random_spec(rng, kind=place % KINDS))


def random_spec(rng: np.random.Generator, *, kind: int) -> str:
    def between(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    bits, seed = between(4, 12), between(0, 1 << 40)
    turn = ["ring", "barrel", "none"][between(0, 2)]
    leap = coprime_leap(bits, at_least=between(1, 9))
    bank = (
        f"lfsr_bank:num_rngs={between(2, 15)},bits={bits},leap={leap},rotation={turn},seed={seed}"
    )
    size = between(20, 500)
    pool = f"pool:size={size},bits={between(1, 16)},lanes={between(1, 16)},seed={seed}"
    clt = f"clt:terms={between(2, 16)},bits={between(2, 10)},seed={seed}"
    form = ["fibonacci", "galois"][between(0, 1)]
    return [
        bank,
        pool,
        clt,
        f"lfsr:state_bits={bits},bits={between(1, bits)},leap={leap},form={form},seed={seed}",
        f"inverse_cdf:address_bits={between(3, 13)},bits={between(2, 16)},seed={seed}",
        f"box_muller:bits={between(6, 16)},radius_bits={between(4, 10)},seed={seed}",
        f"wallace_hadamard:depth={2 * between(4, 600)},bits={between(6, 18)},seed={seed}",
        f"tree_grng:bits={between(2, 10)},seed={seed}",
        f"multiplier:factor={between(1, 5000)},design=({[bank, pool][between(0, 1)]})",
        f"replicate:lanes={between(1, 4)},design=({[clt, pool][between(0, 1)]})",
    ][kind]


if __name__ == "__main__":
    main()
