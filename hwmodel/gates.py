"""Switching activity of the mapped netlist: what its LUTs and flip-flops really toggle."""

import importlib.util
import json
import tempfile
from pathlib import Path

from hwmodel.designs.base import Design
from hwmodel.rtl import simulate_netlist
from hwmodel.synthesis import run_yosys
from hwmodel.trace import Activity
from hwmodel.vcd import count_toggles

_OUTPUT = {"LUT": "O", "FD": "Q"}


def gate_activity(design: Design, cycles: int) -> Activity:
    """Return the toggles per clock of the outputs of LUTs and flip-flops after mapping.

    Args:
        design: A design without block RAM.
        cycles: Clocks to simulate with Icarus and the cell models of Yosys.

    Raises:
        ToolMissingError: If pyosys or Icarus Verilog is not installed.
    """
    commands = [
        "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top rng",
        "setattr -mod -unset keep_hierarchy",
        "flatten",
        "rename -enumerate -pattern n%",
        "write_verilog -noattr {folder}/mapped.v",
        "write_json {folder}/mapped.json",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_yosys(design, commands, folder=folder)
        cells = json.loads((folder / "mapped.json").read_text())["modules"]["rng"]["cells"]
        waves = folder / "waves.vcd"
        sources = [(folder / "mapped.v").read_text(), _cell_models().read_text()]
        simulate_netlist(design, sources, cycles=cycles, vcd=waves)
        with waves.open() as lines:
            toggles = count_toggles(lines)
    return Activity(
        lut=_mean(toggles, cells, "LUT") / cycles, ff=_mean(toggles, cells, "FD") / cycles
    )


def _mean(toggles: dict[str, int], cells: dict[str, dict[str, str]], kind: str) -> float:
    """Return the changes of the outputs of one kind of cell, per cell."""
    names = [name for name, cell in cells.items() if cell["type"].startswith(kind)]
    return sum(toggles[f"testbench.dut.{name}.{_OUTPUT[kind]}"] for name in names) / len(names)


def _cell_models() -> Path:
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v"
