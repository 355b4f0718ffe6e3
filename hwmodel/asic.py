"""Standard-cell area: by formula in the shipped technologies, by Yosys from any Liberty file."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwmodel.checks import require
from hwmodel.designs.base import Design
from hwmodel.liberty import read_liberty
from hwmodel.synthesis import run_yosys
from hwmodel.technologies import load_technology


@dataclass(frozen=True, kw_only=True)
class Area:
    """Standard cells of a design, before layout.

    Attributes:
        gate_equivalents: Area in two-input NAND gates.
        area_um2: Area in the unit of the cell library, as a rule square micrometres.
        source: Technology or Liberty file.
        accuracy: What is known of the figure's accuracy.
    """

    gate_equivalents: float
    area_um2: float
    source: str
    accuracy: str


def asic_area(design: Design, technology: str) -> Area:
    """Return the standard-cell area of a design by formula.

    Raises:
        ValueError: If the technology is no ASIC's, or the design needs a memory or a multiplier.
    """
    tech, used = load_technology(technology), design.resources()
    require(
        tech.fabric == "asic",
        law='fabric == "asic"',
        got=f"{technology!r}, {tech.fabric}",
        fix="take one of the standard-cell technologies",
    )
    _refuse_memories(design)
    gates = used.lut * tech["gates_per_lut"].value + used.ff * tech["gates_per_ff"].value
    return Area(
        gate_equivalents=gates,
        area_um2=gates * tech["gate_area"].value,
        source=tech.name,
        accuracy=tech.accuracy,
    )


def synthesize_asic(design: Design, liberty: Path | str) -> Area:
    """Map a design to the cells of a Liberty file with Yosys and add up their areas.

    Args:
        design: A design without memory and multiplier.
        liberty: The user's Liberty file.

    Raises:
        ToolMissingError: If pyosys is not installed.
        ValueError: If the file is no Liberty file or lacks a NAND gate or a flip-flop, or if the
            design needs a memory.
    """
    _refuse_memories(design)
    library = Path(liberty)
    gate_area = _nand_area(library)
    commands = [
        "synth -flatten -top rng",
        f"dfflibmap -liberty {library}",
        f"abc -liberty {library}",
        f"tee -q -o {{folder}}/area.json stat -json -liberty {library}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run_yosys(design, commands, folder=Path(folder))
        total = json.loads(Path(folder, "area.json").read_text())["design"]["area"]
    return Area(
        gate_equivalents=total / gate_area,
        area_um2=total,
        source=library.name,
        accuracy="Yosys and ABC, before layout; about 7 % above a commercial tool on one design",
    )


def _refuse_memories(design: Design) -> None:
    used = design.resources()
    require(
        not used.bram and not used.dsp,
        law="bram == 0 and dsp == 0",
        got=f"bram={used.bram}, dsp={used.dsp} of {design.name}",
        fix="gates are counted here, not memories and multipliers",
    )


def _nand_area(library: Path) -> float:
    """Return the area of the smallest two-input NAND, the unit of a gate equivalent."""
    cells = read_liberty(library).of_kind("cell")
    nands = [cell.number("area") for cell in cells if re.search("nand2", cell.name, re.IGNORECASE)]
    require(
        bool(nands) and any(cell.of_kind("ff") for cell in cells),
        law="the library has a two-input NAND and a D flip-flop",
        got=f"{library.name} with {len(cells)} cells",
        fix="point at the standard cells of one corner, not at I/O or memory cells",
    )
    return min(nands)
