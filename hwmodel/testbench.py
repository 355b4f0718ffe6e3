"""The testbench of emitted modules: one clock, one reset, one enable, a line per number word."""

import numpy as np
from numpy.typing import NDArray

from hwmodel.designs.base import Design
from hwmodel.trace import unpack

# The name of the file from which the testbench reads one character per clock, 1 for enabled.
ENABLES = "enables"

_TESTBENCH = """
`timescale 1ns/1ps
module testbench;
  reg clk = 0, rst = 1, en = 0;
  integer enables, enabled;
{instances}
  initial begin
    enables = $fopen("{enables}", "r");
    {dump}
    #5 clk = 1; #5 clk = 0;
    rst = 0;
    enabled = $fgetc(enables);
    while (enabled >= 0) begin
      en = enabled == "1";
      #4 if (en) begin
{shows}
      end
      #1 clk = 1; #5 clk = 0;
      enabled = $fgetc(enables);
    end
    $finish(0);
  end
endmodule
"""


def testbench(designs: list[Design], *, vcd: str | None) -> str:
    """Return a testbench of the modules ``module_name(0)``, ``module_name(1)``, ...

    Every enabled clock it prints one line per design, its place and the bus in hexadecimal.

    Args:
        designs: The designs, for the shapes of their buses.
        vcd: Where the waveforms of the first design go, if anywhere.
    """
    instances, shows = [], []
    for place, design in enumerate(designs):
        high = design.word_bits * design.numbers_per_cycle - 1
        name = f"dut{place or ''}"
        instances.append(f"  wire [{high}:0] out{place};")
        instances.append(f"  {module_name(place)} {name} (clk, rst, en, out{place});")
        shows.append(f'        $display("{place}=%h", out{place});')
    return _TESTBENCH.format(
        enables=ENABLES,
        instances="\n".join(instances),
        shows="\n".join(shows),
        dump=f'$dumpfile("{vcd}"); $dumpvars(2, testbench.dut);' if vcd else "",
    )


def module_name(place: int) -> str:
    """Return the name of the module of the design at a place; the first is ``rng``."""
    return f"rng{place or ''}"


def parse(designs: list[Design], shown: str) -> list[NDArray[np.int32]]:
    """Return the codes of every design from what the testbench printed, after its latency."""
    buses: list[list[int]] = [[] for _ in designs]
    for line in shown.splitlines():
        place, equals, bus = line.partition("=")
        if equals and place.isdecimal():
            buses[int(place)].append(_number(bus))
    return [_codes(design, seen) for design, seen in zip(designs, buses, strict=True)]


def _number(bus: str) -> int:
    """Return the number on a bus; before the latency has passed, bits may be unknown."""
    return -1 if set(bus) & set("xXzZ") else int(bus, 16)


def _codes(design: Design, buses: list[int]) -> NDArray[np.int32]:
    lanes, width = design.numbers_per_cycle, design.word_bits
    valid = buses[design.latency_clocks :]
    assert -1 not in valid, f"a bit of {design.spec} is unknown"
    words = [unpack(bus, width=width, count=lanes) for bus in valid]
    return design.decode(np.array(words, dtype=np.int64).reshape(-1, lanes))
