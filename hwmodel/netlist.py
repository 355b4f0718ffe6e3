"""A design mapped to standard cells: what is connected to what."""

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwmodel.designs.base import Design
from hwmodel.synthesis import run_yosys

# A number, or "0" and "1" for the constants.
Net = int | str


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A design mapped to the cells of a Liberty file.

    Attributes:
        verilog: The netlist as text.
        cells: Type and net per pin, by instance.
        ports: Nets by input port.
    """

    verilog: str
    cells: Mapping[str, tuple[str, Mapping[str, Net]]]
    ports: Mapping[str, tuple[Net, ...]]


def map_to_cells(design: Design, liberty: Path | str, *, avoid: Collection[str] = ()) -> Netlist:
    """Map a design to the cells of a Liberty file with Yosys.

    Args:
        design: A design without memory and multiplier.
        liberty: The Liberty file.
        avoid: Cells not to be used for logic.

    Raises:
        ToolMissingError: If pyosys is not installed.
    """
    commands = [
        "synth -flatten -top rng",
        f"dfflibmap -liberty {liberty}",
        " ".join([f"abc -liberty {liberty}", *(f"-dont_use {cell}" for cell in avoid)]),
        "setattr -mod -unset keep_hierarchy",
        "flatten",
        "opt_clean -purge",
        "rename -enumerate -pattern n%",
        "write_verilog -noattr -noexpr {folder}/mapped.v",
        "write_json {folder}/mapped.json",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_yosys(design, commands, folder=folder)
        text = (folder / "mapped.v").read_text()
        module = json.loads((folder / "mapped.json").read_text())["modules"]["rng"]
    cells = {
        instance: (cell["type"], {pin: nets[0] for pin, nets in cell["connections"].items()})
        for instance, cell in module["cells"].items()
        if cell["type"] != "$scopeinfo"
    }
    ports = {
        port: tuple(found["bits"])
        for port, found in module["ports"].items()
        if found["direction"] == "input"
    }
    return Netlist(verilog=text, cells=cells, ports=ports)
