"""Gate-level power from Liberty tables against OpenSTA, a tool that nobody here wrote.

    python benchmarks/hwmodel_opensta.py LIBERTY

``LIBERTY`` may be osu018_stdcells.lib of Debian's qflow-tech-osu018. Both take the same mapped
netlist, capacitances, tables and activity: the same number of changes per clock for every net.
Debian's OpenSTA of 2019 is known to add rise and fall energies where it should take their mean, so
its internal power is halved here. It also weighs the inputs of a cell with three or more of them
by shares that add up to more than one; each design is therefore mapped twice, the second time to
cells of at most two inputs. And it counts the data pins of flip-flops once where it counts all
else twice: another figure has them as the tool has.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from reporting import write_result

from hwmodel import get_design
from hwmodel.cell_power import CellPower, cell_power
from hwmodel.liberty import read_liberty
from hwmodel.netlist import Netlist, map_to_cells
from hwmodel.rtl import find_tool

DESIGNS = ["lfsr-8-leap", "lfsr_bank:num_rngs=7", "clt:terms=4,bits=8", "tree-8"]
ACTIVITIES = [0.125, 0.5]
CLOCK_MHZ = 100.0

SCRIPT = """
read_liberty {liberty}
read_verilog {netlist}
link_design rng
create_clock -name clk -period {period_ns} clk
set_input_delay 0 -clock clk [get_ports {{rst en}}]
set_power_activity -global -activity {activity}
report_power -digits 8
exit
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("liberty", type=Path)
    liberty = parser.parse_args().liberty.absolute()
    wide = tuple(name for name, inputs in cell_inputs(liberty).items() if inputs > 2)
    rows = []
    for name in DESIGNS:
        for cells, avoid in (("all cells", ()), ("two inputs at most", wide)):
            netlist = map_to_cells(get_design(name), liberty, avoid=avoid)
            for activity in ACTIVITIES:
                row = compare(netlist, liberty, activity)
                rows.append({"design": name, "cells": cells, "activity": activity, **row})
                print(rows[-1], flush=True)
    result = {"liberty": liberty.name, "rows": rows}
    print(write_result("hwmodel_opensta", n=len(rows), result=result))


def cell_inputs(liberty: Path) -> dict[str, int]:
    """Return how many input pins each cell without state has."""
    return {
        cell.name: sum(pin.text("direction") == "input" for pin in cell.of_kind("pin"))
        for cell in read_liberty(liberty).of_kind("cell")
        if not cell.of_kind("ff")
    }


def compare(netlist: Netlist, liberty: Path, activity: float) -> dict[str, float]:
    """Return both tools' powers in uW and how far ours lies from theirs."""
    (clock,) = netlist.ports["clk"]

    def changes(net: int | str) -> float:
        return 0.0 if isinstance(net, str) else 2.0 if net == clock else activity

    ours = cell_power(netlist, liberty, activity=changes, clock_mhz=CLOCK_MHZ)
    theirs = opensta(netlist, liberty, activity)
    counted_once = ours.internal_uw - ours.data_pins_uw / 2
    return {
        "internal_uw": ours.internal_uw,
        "switching_uw": ours.switching_uw,
        "leakage_uw": ours.leakage_uw,
        "internal / halved": ours.internal_uw / theirs.internal_uw - 1,
        "internal, data pins once": counted_once / theirs.internal_uw - 1,
        "switching / theirs": ours.switching_uw / theirs.switching_uw - 1,
        "leakage / theirs": ours.leakage_uw / theirs.leakage_uw - 1,
    }


def opensta(netlist: Netlist, liberty: Path, activity: float) -> CellPower:
    """Return OpenSTA's report, its internal power halved; it counts no nets that ports drive."""
    tool = find_tool("sta", hint="install OpenSTA (apt-get install opensta)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mapped.v").write_text(netlist.verilog)
        script = SCRIPT.format(
            liberty=liberty,
            netlist=folder / "mapped.v",
            period_ns=1e3 / CLOCK_MHZ,
            activity=activity,
        )
        (folder / "script.tcl").write_text(script)
        command = [tool, "-no_splash", "-exit", str(folder / "script.tcl")]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    total = re.search(r"^Total +(\S+) +(\S+) +(\S+)", shown, re.MULTILINE)
    assert total, shown
    internal, switching, leakage = (1e6 * float(watts) for watts in total.groups())
    return CellPower(
        internal_uw=internal / 2,
        data_pins_uw=0.0,
        switching_uw=switching,
        ports_uw=0.0,
        leakage_uw=leakage,
    )


if __name__ == "__main__":
    main()
