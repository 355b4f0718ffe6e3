"""The one test class that every design and every level inherits.

A level is a way to obtain a design's codes: the cycle model, or a simulator that runs the emitted
Verilog. Each must give the golden stream, every bit, with and without stalls.
"""

import shutil

import numpy as np
import pytest

from hwmodel import get_design, simulate_verilog
from hwmodel.designs.base import Codes, Design

CYCLES = 300

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


class GoldenStream:
    """What holds at every level. A subclass says how its level runs a design."""

    def run(self, design: Design, cycles: int, enable: list[bool] | None = None) -> Codes:
        raise NotImplementedError

    @pytest.fixture(params=SPECS)
    def design(self, request) -> Design:
        return get_design(request.param)

    def test_every_bit_from_reset(self, design: Design):
        assert np.array_equal(self.run(design, CYCLES), golden_rows(design, CYCLES))

    def test_stalls_delay_but_change_nothing(self, design: Design):
        enable = [clock % 3 != 1 and clock % 7 != 0 for clock in range(4 * CYCLES)]
        rows = self.run(design, CYCLES, enable)
        assert np.array_equal(rows, golden_rows(design, CYCLES))


class CycleLevel(GoldenStream):
    def run(self, design: Design, cycles: int, enable: list[bool] | None = None) -> Codes:
        return design.simulate(cycles, enable=enable).codes


class IcarusLevel(GoldenStream):
    @pytest.fixture(autouse=True)
    def _needs_icarus(self):
        skip_without("iverilog")

    def run(self, design: Design, cycles: int, enable: list[bool] | None = None) -> Codes:
        return simulate_verilog(design, cycles, enable=enable)


def golden_rows(design: Design, cycles: int) -> Codes:
    codes = design.codes(0, cycles * design.numbers_per_cycle)
    return codes.reshape(cycles, design.numbers_per_cycle)


class VerilatorLevel(GoldenStream):
    """Verilator compiles C++ for every design, so one that rotates stands for all."""

    @pytest.fixture(autouse=True)
    def _needs_verilator(self):
        skip_without("verilator")

    @pytest.fixture(params=["lfsr_bank:num_rngs=7,bits=5,rotation=barrel"])
    def design(self, request) -> Design:
        return get_design(request.param)

    def run(self, design: Design, cycles: int, enable: list[bool] | None = None) -> Codes:
        return simulate_verilog(design, cycles, enable=enable, simulator="verilator")


def skip_without(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"NOT CHECKED AGAINST RTL: {tool} is not installed")
