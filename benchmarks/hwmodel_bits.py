"""Golden stream = cycle model = emitted Verilog, every bit, for the catalogue and random designs.

    python benchmarks/hwmodel_bits.py [--cycles 2000] [--random 50]

The test classes of ``tests/hwmodel/hwmodel_levels.py`` run on every design of the catalogue and on
random ones: the cycle model, Icarus Verilog and, where it is installed, Verilator; each from reset
and with stalls. A simulator compiles all designs into one program.
"""

import argparse
import shutil
import sys
from itertools import islice
from pathlib import Path

from reporting import write_result

from hwmodel import CATALOG, Design
from hwmodel.sampling import random_designs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "hwmodel"))

from hwmodel_levels import CycleLevel, GoldenStream, IcarusLevel, VerilatorLevel

LEVELS = {
    "cycle model": CycleLevel,
    "icarus": IcarusLevel,
    "verilator": VerilatorLevel,
}
TOOLS = {"icarus": "iverilog", "verilator": "verilator"}
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--random", type=int, default=50)
    options = parser.parse_args()
    named = {name: entry.design for name, entry in CATALOG.items()}
    drawn = [design for _, design in islice(random_designs(SEED), options.random)]
    designs = named | {design.spec: design for design in drawn}
    missing = [name for name, tool in TOOLS.items() if shutil.which(tool) is None]
    for name in missing:
        print(f"NOT RUN: {name} is not installed")
    levels = {
        name: instance(level, tuple(designs.values()), options.cycles)
        for name, level in LEVELS.items()
        if name not in missing
    }
    failures = []
    for name, design in designs.items():
        failed = [level for level, tests in levels.items() if not passes(tests, design)]
        failures += [f"{name}: {level}" for level in failed]
        print(f"{name:90s} {'FAILED at ' + ', '.join(failed) if failed else 'equal'}", flush=True)
    bits = sum(options.cycles * d.numbers_per_cycle * d.word_bits for d in designs.values())
    shown = ", ".join(levels)
    print(
        f"{len(designs)} designs, {options.cycles} cycles, {bits:,} bits at {shown}: {failures=}"
    )
    result = {
        "cycles": options.cycles,
        "bits": bits,
        "levels": list(levels),
        "not installed": missing,
        "failures": failures,
        "designs": list(designs),
    }
    print(write_result("hwmodel_bits", n=len(designs), result=result))


def instance(level: type[GoldenStream], designs: tuple[Design, ...], cycles: int) -> GoldenStream:
    """Return the tests of a level for these designs and so many cycles."""
    return type(level.__name__, (level,), {"designs": designs, "cycles": cycles})()


def passes(tests: GoldenStream, design: Design) -> bool:
    """Return whether a design passes both tests of a level."""
    try:
        tests.test_every_bit_from_reset(design)
        tests.test_stalls_delay_but_change_nothing(design)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    main()
