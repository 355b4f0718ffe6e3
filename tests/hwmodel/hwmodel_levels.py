"""The one test class that every design and every level inherits.

A level is a way to obtain a design's codes: the cycle model, or a simulator that runs the emitted
Verilog. Each must give the golden stream, every bit, with and without stalls. The tests run the
designs below; ``benchmarks/hwmodel_bits.py`` runs the same classes on the whole catalogue and on
random designs, for longer.
"""

import shutil
from functools import cache
from typing import ClassVar

import numpy as np
import pytest

from hwmodel import get_design
from hwmodel.designs.base import Codes, Design
from hwmodel.rtl import Program, Simulator

CYCLES = 300
MAX_LATENCY = 8

# Fields small enough that whole periods pass during a test, and shapes that exercise the corners:
# one RNG, as many RNGs as states, lanes that divide the pool and lanes that don't, one-bit codes.
SPECS = [
    "lfsr_bank:num_rngs=31,bits=8",
    "lfsr_bank:num_rngs=7,bits=4,leap=1,rotation=barrel",
    "lfsr_bank:num_rngs=5,bits=6,rotation=none",
    "lfsr_bank:num_rngs=1,bits=2",
    "lfsr_bank:num_rngs=7,bits=3",
    "lfsr_bank:num_rngs=2,bits=19,rotation=barrel",
    "pool:size=101,bits=8",
    "pool:size=64,bits=4,lanes=16",
    "pool:size=33,bits=5,lanes=4",
    "pool:size=17,bits=1,lanes=16",
    "clt:terms=12,bits=8",
    "clt:terms=5,bits=3,state_bits=5",
    "replicate:lanes=2,design=(clt:terms=3,bits=8)",
    "replicate:lanes=2,design=(pool:size=31,lanes=2)",
    "lfsr:state_bits=9,bits=5,leap=8,form=galois",
    "lfsr:state_bits=4,taps=(4,1)",
    "inverse_cdf:address_bits=6,bits=7",
    "inverse_cdf:address_bits=11,bits=10",
    "box_muller:bits=9,radius_bits=6,angle_bits=5",
    "wallace_hadamard:depth=30,bits=9",
    "tree_grng:bits=6",
    "power_of_two:shift=-2,design=(lfsr_bank:num_rngs=3,bits=4)",
    "multiplier:factor=45,design=(lfsr_bank:num_rngs=3,bits=4)",
    "multiplier:design=(pool:size=15,bits=1,lanes=2)",
]


def clocks(cycles: int, *, stalled: bool) -> list[bool]:
    """Return which clocks are enabled: enough for ``cycles`` rows after any latency."""
    if not stalled:
        return [True] * (cycles + MAX_LATENCY)
    return [clock % 3 != 1 and clock % 7 != 0 for clock in range(2 * (cycles + MAX_LATENCY))]


class GoldenStream:
    """What holds at every level. A subclass says how its level runs a design.

    Attributes:
        designs: What is run; simulators compile all of them together.
        cycles: Rows of numbers that are compared.
    """

    designs: ClassVar[tuple[Design, ...]] = tuple(map(get_design, SPECS))
    cycles: ClassVar[int] = CYCLES

    def run(self, design: Design, *, stalled: bool) -> Codes:
        """Return the rows that leave in ``clocks``."""
        raise NotImplementedError

    @pytest.fixture(params=SPECS)
    def design(self, request) -> Design:
        return get_design(request.param)

    def test_every_bit_from_reset(self, design: Design):
        rows = self.run(design, stalled=False)
        assert np.array_equal(rows[: self.cycles], self.golden(design))

    def test_stalls_delay_but_change_nothing(self, design: Design):
        rows = self.run(design, stalled=True)
        assert np.array_equal(rows[: self.cycles], self.golden(design))

    def golden(self, design: Design) -> Codes:
        codes = design.codes(0, self.cycles * design.numbers_per_cycle)
        return codes.reshape(self.cycles, design.numbers_per_cycle)


class CycleLevel(GoldenStream):
    def run(self, design: Design, *, stalled: bool) -> Codes:
        enable = clocks(self.cycles, stalled=stalled)
        return design.simulate(len(enable), enable=enable).codes


class RtlLevel(GoldenStream):
    """Every design under a simulator, all of them in one program."""

    simulator: ClassVar[Simulator]

    @pytest.fixture(autouse=True)
    def _needs_simulator(self):
        skip_without({"icarus": "iverilog", "verilator": "verilator"}[self.simulator])

    def run(self, design: Design, *, stalled: bool) -> Codes:
        rows = run_all(self.simulator, self.designs, self.cycles)[stalled]
        return rows[self.designs.index(design)]


class IcarusLevel(RtlLevel):
    simulator = "icarus"


class VerilatorLevel(RtlLevel):
    simulator = "verilator"


@cache
def run_all(
    simulator: Simulator, designs: tuple[Design, ...], cycles: int
) -> dict[bool, list[Codes]]:
    """Return the rows of every design, by whether there were stalls."""
    with Program(list(designs), simulator=simulator) as program:
        return {stalled: program.run(clocks(cycles, stalled=stalled)) for stalled in (False, True)}


def skip_without(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"NOT CHECKED AGAINST RTL: {tool} is not installed")
