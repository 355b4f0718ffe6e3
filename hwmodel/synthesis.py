"""Synthesis with Yosys: the same answer as ``resources()``, from a tool that nobody here wrote."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from hwmodel.designs.base import Design
from hwmodel.resources import Resources
from hwmodel.rtl import ToolMissingError

# Yosys logs to standard output and aborts on errors, so it runs in a process of its own.
_RUN_SCRIPT = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in open(sys.argv[1]):
    libyosys.run_pass(command.strip(), design)
"""

_FLIP_FLOPS = {"FDRE", "FDSE", "FDCE", "FDPE"}
_TILES = {"RAMB18E1": 0.5, "RAMB36E1": 1.0, "RAMB18E2": 0.5, "RAMB36E2": 1.0}
_DSPS = {"DSP48E1", "DSP48E2"}
_LUTS = {f"LUT{inputs}": 1 for inputs in range(1, 7)} | {"SRL16E": 1, "SRLC32E": 1}
# Neither LUT nor flip-flop: carry chains and the multiplexers behind LUTs come with the slice,
# and the vendor's tool moves an inverter into the LUT that it feeds.
_FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "INV", "$scopeinfo"}


def synthesize(design: Design, *, family: str = "xc7") -> Resources:
    """Synthesise the emitted Verilog with Yosys (``synth_xilinx -flatten``).

    Args:
        design: The design.
        family: ``xc7`` for the 7 series, ``xcup`` for UltraScale+.

    Raises:
        ToolMissingError: If pyosys is not installed.
        ValueError: If the netlist has a cell that this count does not know.
    """
    return count_cells(mapped_cells(design, family=family))


def mapped_cells(design: Design, *, family: str = "xc7") -> dict[str, int]:
    """Return how many cells of each type Yosys maps a design to."""
    commands = [
        f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -top rng",
        "tee -q -o {folder}/cells.json stat -json -tech xilinx",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run_yosys(design, commands, folder=Path(folder))
        report = json.loads(Path(folder, "cells.json").read_text())
    cells: dict[str, int] = report["design"]["num_cells_by_type"]
    modules = {name.lstrip("\\") for name in report["modules"]}
    return {name: count for name, count in cells.items() if name not in modules}


def run_yosys(design: Design, commands: list[str], *, folder: Path) -> None:
    """Read a design's Verilog and run Yosys commands on it.

    Args:
        design: The design; its top module is ``rng``.
        commands: Yosys commands, in which ``{folder}`` stands for ``folder``.
        folder: Where results may be written.

    Raises:
        ToolMissingError: If pyosys is not installed.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise ToolMissingError("pyosys is not installed: pip install 'freezo[synth]'")
    (folder / "rng.v").write_text(design.verilog())
    script = ["read_verilog {folder}/rng.v", *commands]
    (folder / "script").write_text("\n".join(script).replace("{folder}", str(folder)))
    runner = [sys.executable, "-c", _RUN_SCRIPT, str(folder / "script")]
    done = subprocess.run(runner, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Yosys failed on {design.spec}:\n{done.stdout[-2000:]}{done.stderr}")


def count_cells(cells: dict[str, int]) -> Resources:
    """Return the resources of mapped cells.

    Raises:
        ValueError: If a type of cell is unknown; nothing is silently left out.
    """
    unknown = cells.keys() - _FLIP_FLOPS - _TILES.keys() - _DSPS - _LUTS.keys() - _FREE
    if unknown:
        raise ValueError(
            f"`every cell has a known cost` must hold, but got {sorted(unknown)}: "
            "add the cell to hwmodel/synthesis.py"
        )
    return Resources(
        lut=sum(n for name, n in cells.items() if name in _LUTS),
        ff=sum(n for name, n in cells.items() if name in _FLIP_FLOPS),
        bram=sum(_TILES[name] * n for name, n in cells.items() if name in _TILES),
        dsp=sum(n for name, n in cells.items() if name in _DSPS),
    )
