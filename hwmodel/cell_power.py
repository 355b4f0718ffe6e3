"""Power of a netlist of standard cells from Liberty tables and switching activity."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from hwmodel.checks import require
from hwmodel.liberty import Group, Table, read_liberty, read_table, unit
from hwmodel.netlist import Net, Netlist

# Slews settle along a path; a net is as deep as the logic, and the tables flatten differences.
_SLEW_PASSES = 12


@dataclass(frozen=True, kw_only=True)
class CellPower:
    """Power of a mapped netlist without wires, in microwatts.

    Attributes:
        internal_uw: Within the cells, clock pins of the flip-flops included.
        data_pins_uw: The part of it that changes at inputs other than clocks cause by themselves.
        switching_uw: Charging the pins that cells drive.
        ports_uw: Charging the pins that input ports drive, the clock above all.
        leakage_uw: Static.
    """

    internal_uw: float
    data_pins_uw: float
    switching_uw: float
    ports_uw: float
    leakage_uw: float

    @property
    def total_uw(self) -> float:
        """Return the sum."""
        return self.internal_uw + self.switching_uw + self.ports_uw + self.leakage_uw


def cell_power(
    netlist: Netlist, liberty: Path | str, *, activity: Callable[[Net], float], clock_mhz: float
) -> CellPower:
    """Return the power of a mapped netlist.

    Switching power is ``a f C V^2 / 2`` per net; internal power takes, per output change, the mean
    energy over the inputs that may have caused it, of rise and fall, at the net's load and slew.

    Args:
        netlist: From ``map_to_cells`` with the same library.
        liberty: The Liberty file.
        activity: Changes per clock by net; a clock has two.
        clock_mhz: Clock frequency in MHz.

    Raises:
        ValueError: If the library lacks a cell, a capacitance, a leakage or its units.
    """
    library = read_liberty(liberty)
    cells = {cell.name: _Cell(library, cell) for cell in library.of_kind("cell")}
    missing = sorted({kind for kind, _ in netlist.cells.values()} - cells.keys())
    require(
        not missing,
        law="the library has every cell of the netlist",
        got=f"no {missing}",
        fix="map the design to the same file",
    )
    placed = [(cells[kind], pins) for kind, pins in netlist.cells.values()]
    loads: dict[Net, float] = defaultdict(float)
    for cell, pins in placed:
        for pin, capacitance in cell.capacitances.items():
            loads[pins[pin]] += capacitance
    slews = _settled_slews(placed, loads)
    charged = {net: activity(net) * load / 2 for net, load in loads.items()}
    at_ports = sum(charged.get(net, 0.0) for nets in netlist.ports.values() for net in nets)
    internal = data_pins = 0.0
    for cell, pins in placed:
        energies = cell.energies(pins, loads, slews, activity)
        internal += sum(energies.values())
        data_pins += sum(energies.get(pin, 0.0) for pin in cell.data_pins)
    leakage = sum(cell.leakage for cell, _ in placed) * unit(library, "leakage_power_unit")
    # Energy tables count capacitance times squared voltage, in the library's units.
    energy_uj = unit(library, "capacitive_load_unit") * unit(library, "voltage_unit") ** 2 * 1e6
    per_second, supply = clock_mhz * 1e6, library.number("nom_voltage")
    return CellPower(
        internal_uw=internal * energy_uj * per_second,
        data_pins_uw=data_pins * energy_uj * per_second,
        switching_uw=(sum(charged.values()) - at_ports) * supply**2 * energy_uj * per_second,
        ports_uw=at_ports * supply**2 * energy_uj * per_second,
        leakage_uw=leakage * 1e6,
    )


def _settled_slews(
    placed: list[tuple["_Cell", Mapping[str, Net]]], loads: Mapping[Net, float]
) -> dict[Net, float]:
    """Return the slew of every net; ports and clocks switch at once."""
    slews: dict[Net, float] = defaultdict(float)
    for _ in range(_SLEW_PASSES):
        for cell, pins in placed:
            slews.update(cell.slews(pins, loads, slews))
    return slews


class _Cell:
    """The tables of one cell type: pins, energies and transitions."""

    def __init__(self, library: Group, cell: Group) -> None:
        pins = cell.of_kind("pin")
        self.leakage = cell.number("cell_leakage_power")
        self.capacitances = {
            pin.name: pin.number("capacitance") for pin in pins if pin.text("direction") == "input"
        }
        self.data_pins = [
            pin.name
            for pin in pins
            if pin.name in self.capacitances and "clock" not in pin.attributes
        ]
        self._energies = {
            pin.name: _by_related_pin(library, pin, "internal_power", "_power") for pin in pins
        }
        self._transitions = {
            pin.name: _by_related_pin(library, pin, "timing", "_transition")
            for pin in pins
            if pin.text("direction") == "output"
        }

    def energies(
        self,
        pins: Mapping[str, Net],
        loads: Mapping[Net, float],
        slews: Mapping[Net, float],
        activity: Callable[[Net], float],
    ) -> dict[str, float]:
        """Return internal energy per clock by pin, in capacitance times squared voltage."""
        return {
            pin: activity(pins[pin])
            * fmean(_values(arcs, pins, loads[pins[pin]], slews, own=pins[pin]))
            for pin, arcs in self._energies.items()
            if pin in pins and arcs
        }

    def slews(
        self, pins: Mapping[str, Net], loads: Mapping[Net, float], slews: Mapping[Net, float]
    ) -> dict[Net, float]:
        """Return the slews of the nets that this cell drives."""
        return {
            pins[pin]: fmean(_values(arcs, pins, loads[pins[pin]], slews, own=pins[pin]))
            for pin, arcs in self._transitions.items()
            if pin in pins and arcs
        }


def _by_related_pin(
    library: Group, pin: Group, kind: str, suffix: str
) -> list[tuple[str, list[Table]]]:
    """Return the rise and fall tables of a pin with the pin that causes the change, if named."""
    found = []
    for group in pin.of_kind(kind):
        tables = [read_table(library, g) for g in group.groups if g.kind.endswith(suffix)]
        related = group.attributes.get("related_pin", ("",))[0]
        if tables:
            found.append((related, tables))
    return found


def _values(
    arcs: list[tuple[str, list[Table]]],
    pins: Mapping[str, Net],
    load: float,
    slews: Mapping[Net, float],
    *,
    own: Net,
) -> list[float]:
    """Return, per arc, the mean of its tables."""
    return [
        fmean(table.at(load=load, slew=slews[pins.get(related, own)]) for table in tables)
        for related, tables in arcs
    ]
