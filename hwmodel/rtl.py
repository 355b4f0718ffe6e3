"""Running the emitted Verilog in a simulator that nobody here wrote."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from hwmodel.checks import choose, require
from hwmodel.designs.base import Design
from hwmodel.testbench import ENABLES, module_name, parse, testbench

Simulator = Literal["icarus", "verilator"]


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


class Program:
    """Designs compiled together by a simulator, to be run as often as one likes.

    The compiler of Verilator takes half a minute for one design and not much longer for fifty.
    Used as a context manager, or closed by hand, it leaves no files.
    """

    def __init__(
        self,
        designs: list[Design],
        *,
        simulator: Simulator = "icarus",
        vcd: Path | None = None,
        sources: list[str] | None = None,
    ) -> None:
        """Compile the designs.

        Args:
            designs: One or more.
            simulator: ``icarus`` or ``verilator`` (5 or newer).
            vcd: Where Icarus writes the waveforms of the first design, if anywhere.
            sources: Verilog in place of what the designs emit.

        Raises:
            ToolMissingError: If the simulator is not installed.
            ValueError: If the simulator is unknown.
        """
        build = _BUILD[choose(simulator, get_args(Simulator), what="simulator")]
        self._designs = designs
        texts = sources or [
            design.verilog(module=module_name(place)) for place, design in enumerate(designs)
        ]
        waves = str(vcd.absolute()) if vcd else None
        self._folder = tempfile.TemporaryDirectory()
        source = Path(self._folder.name, "testbench.v")
        source.write_text("\n".join([*texts, testbench(designs, vcd=waves)]))
        try:
            self._command = build(source)
        except BaseException:
            self.close()
            raise

    def run(self, clocks: list[bool]) -> list[NDArray[np.int32]]:
        """Return the codes of every design, shape ``(rows, numbers_per_cycle)``, int32.

        Args:
            clocks: One truth value per clock, whether it is enabled.
        """
        enables = "".join("1" if enabled else "0" for enabled in clocks)
        Path(self._folder.name, ENABLES).write_text(enables)
        done = subprocess.run(
            self._command, check=True, capture_output=True, text=True, cwd=self._folder.name
        )
        return parse(self._designs, done.stdout)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


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
    with Program([design], simulator=simulator, vcd=vcd) as program:
        return program.run(clocks)[0][:cycles]


def simulate_netlist(design: Design, sources: list[str], *, cycles: int, vcd: Path) -> None:
    """Run a netlist of a design under Icarus and write its waveforms.

    Args:
        design: The design, for the shape of its bus.
        sources: Verilog with a module ``rng`` and all cells that it uses.
        cycles: Enabled clocks.
        vcd: Where the waveforms go.
    """
    with Program([design], vcd=vcd, sources=sources) as program:
        program.run([True] * cycles)


def _build_icarus(source: Path) -> list[str]:
    """Compile with Icarus Verilog and return the command that runs."""
    compiler = find_tool("iverilog", hint="install Icarus Verilog (apt-get install iverilog)")
    runner = find_tool("vvp", hint="it is part of Icarus Verilog")
    program = str(source.with_suffix(".vvp"))
    subprocess.run([compiler, "-g2012", "-o", program, str(source)], check=True)
    return [runner, program]


def _build_verilator(source: Path) -> list[str]:
    """Compile with Verilator and return the command that runs.

    Nothing is optimised: a few thousand clocks run in no time, and the compiler is what takes
    long.
    """
    compiler = find_tool("verilator", hint="install Verilator 5 (apt-get install verilator)")
    options = ["--binary", "--timing", "-Wno-fatal", "-Wno-WIDTH", "-Wno-STMTDLY"]
    options += ["-CFLAGS", "-O0", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    options += ["-j", str(os.cpu_count() or 1)]
    command = [compiler, *options, "--top-module", "testbench", "--Mdir", "build", source.name]
    subprocess.run(command, check=True, cwd=source.parent, capture_output=True)
    return [str(source.parent / "build" / "Vtestbench")]


_BUILD = {"icarus": _build_icarus, "verilator": _build_verilator}
