"""Running the emitted Verilog in a simulator that nobody here wrote."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwmodel.checks import choose, require
from hwmodel.designs.base import Design
from hwmodel.trace import unpack

Simulator = Literal["icarus", "verilator"]

_TESTBENCH = """
`timescale 1ns/1ps
module testbench;
  reg clk = 0, rst = 1, en = 0;
  wire [{high}:0] out;
  reg [0:{last}] enables;
  integer i;
  rng dut (clk, rst, en, out);
  initial begin
    enables = {enables};
    {dump}
    #5 clk = 1; #5 clk = 0;
    rst = 0;
    for (i = 0; i <= {last}; i = i + 1) begin
      en = enables[i];
      #4 if (en) $display("=%h", out);
      #1 clk = 1; #5 clk = 0;
    end
    $finish(0);
  end
endmodule
"""


class ToolMissingError(RuntimeError):
    """An external tool that was asked for is not installed."""


def find_tool(name: str, *, hint: str) -> str:
    """Return the path of a tool.

    Raises:
        ToolMissingError: If the tool is not on the search path; the message says how to get it.
    """
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(f"{name} is not on the search path: {hint}")
    return path


def simulate_verilog(
    design: Design,
    cycles: int,
    *,
    enable: list[bool] | None = None,
    simulator: Simulator = "icarus",
    vcd: Path | None = None,
) -> NDArray[np.int32]:
    """Run ``design.verilog()`` in a simulator.

    Args:
        design: The design.
        cycles: Rows of codes to collect.
        enable: One truth value per clock, as in ``Design.simulate``.
        simulator: ``icarus`` or ``verilator`` (5 or newer).
        vcd: Where Icarus writes the waveforms of all signals, if anywhere.

    Returns:
        Codes of shape ``(cycles, numbers_per_cycle)``, int32.

    Raises:
        ToolMissingError: If the simulator is not installed.
        ValueError: If the simulator is unknown or cannot write waveforms, or their folder is
            missing.
    """
    choose(simulator, get_args(Simulator), what="simulator")
    require(
        vcd is None or simulator == "icarus",
        law='vcd is None or simulator == "icarus"',
        got=f"{simulator=}",
        fix="take waveforms with Icarus",
    )
    require(
        vcd is None or vcd.absolute().parent.is_dir(),
        law="the folder of vcd exists",
        got=f"{vcd}",
        fix="make the folder first",
    )
    clocks = enable or [True] * (cycles + design.latency_clocks)
    text = design.verilog() + _testbench(design, clocks, vcd)
    return _parse(design, _run(text, simulator))[:cycles]


def simulate_netlist(design: Design, sources: list[str], *, cycles: int, vcd: Path) -> int:
    """Run a netlist of a design under Icarus and write its waveforms.

    Args:
        design: The design, for the shape of its bus.
        sources: Verilog with a module ``rng`` and all cells that it uses.
        cycles: Enabled clocks.
        vcd: Where the waveforms go.

    Returns:
        How many clocks ran.
    """
    clocks = [True] * cycles
    _run("\n".join([*sources, _testbench(design, clocks, vcd)]), "icarus")
    return len(clocks)


def _run(text: str, simulator: Simulator) -> list[str]:
    """Return the bus values that the testbench printed, in hexadecimal."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "testbench.v")
        source.write_text(text)
        program = _BUILD[simulator](source)
        shown = subprocess.run(program, check=True, capture_output=True, text=True)
    return [line.removeprefix("=") for line in shown.stdout.split() if line.startswith("=")]


def _build_icarus(source: Path) -> list[str]:
    """Compile with Icarus Verilog and return the command that runs."""
    compiler = find_tool("iverilog", hint="install Icarus Verilog (apt-get install iverilog)")
    runner = find_tool("vvp", hint="it is part of Icarus Verilog")
    program = str(source.with_suffix(".vvp"))
    subprocess.run([compiler, "-g2012", "-o", program, str(source)], check=True)
    return [runner, program]


def _build_verilator(source: Path) -> list[str]:
    """Compile with Verilator and return the command that runs."""
    compiler = find_tool("verilator", hint="install Verilator 5 (apt-get install verilator)")
    options = ["--binary", "--timing", "-Wno-fatal", "-Wno-WIDTH", "-Wno-STMTDLY", "-O1"]
    command = [compiler, *options, "--top-module", "testbench", "--Mdir", "build", source.name]
    subprocess.run(command, check=True, cwd=source.parent, capture_output=True)
    return [str(source.parent / "build" / "Vtestbench")]


_BUILD = {"icarus": _build_icarus, "verilator": _build_verilator}


def _testbench(design: Design, clocks: list[bool], vcd: Path | None) -> str:
    enables = "".join("1" if enabled else "0" for enabled in clocks)
    dump = f'$dumpfile("{vcd}"); $dumpvars(2, testbench.dut);' if vcd else ""
    return _TESTBENCH.format(
        high=design.word_bits * design.numbers_per_cycle - 1,
        last=len(clocks) - 1,
        enables=f"{len(clocks)}'b{enables}",
        dump=dump,
    )


def _parse(design: Design, lines: list[str]) -> NDArray[np.int32]:
    """Return the codes of one hexadecimal bus value per enabled clock, after the latency."""
    lanes, width = design.numbers_per_cycle, design.word_bits
    valid = [int(line, 16) for line in lines[design.latency_clocks :]]
    words = [unpack(bus, width=width, count=lanes) for bus in valid]
    return design.decode(np.array(words, dtype=np.int64).reshape(-1, lanes))
