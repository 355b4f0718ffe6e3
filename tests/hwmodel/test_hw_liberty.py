"""Liberty files and the power of cells, by hand-made libraries whose answers are known."""

import importlib.util

import pytest

from hwmodel import get_design
from hwmodel.cell_power import cell_power
from hwmodel.liberty import read_liberty, read_table, unit
from hwmodel.netlist import Netlist, map_to_cells

LIBRARY = """
/* a comment { that opens nothing */
library(tiny) {
  voltage_unit : "1V";  leakage_power_unit : "1nW";  capacitive_load_unit (1, pf);
  nom_voltage : 2.0;
  power_lut_template(energy) {
    variable_1 : total_output_net_capacitance;  variable_2 : input_transition_time;
    index_1 ("0.0, 1.0");  index_2 ("0.0, 1.0");
  }
  cell(INV) {
    area : 1.0;  cell_leakage_power : 3.0;
    pin(A) { direction : input;  capacitance : 0.010; }
    pin(Y) {
      direction : output;  function : "!A";
      internal_power() {
        related_pin : "A";
        rise_power(energy) { values ("0.10, 0.20", \\
                                     "0.30, 0.40"); }
        fall_power(energy) { index_1 ("0.0, 2.0"); values ("0.30, 0.40", "0.50, 0.60"); }
      }
    }
  }
}
"""

# Port a drives an inverter, net 2 the next one, net 3 nothing.
CHAIN = Netlist(
    verilog="",
    cells={"u0": ("INV", {"A": 1, "Y": 2}), "u1": ("INV", {"A": 2, "Y": 3})},
    ports={"a": (1,)},
)


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(LIBRARY)
    return path


def test_tables_are_read_between_their_points_on_the_axes_they_name(library):
    tiny = read_liberty(library)
    (cell,) = tiny.of_kind("cell")
    (power,) = cell.of_kind("pin")[1].of_kind("internal_power")
    rise, fall = (read_table(tiny, group) for group in power.groups)
    assert rise.at(load=0.0, slew=1.0) == pytest.approx(0.2)
    assert rise.at(load=0.5, slew=0.5) == pytest.approx(0.25)
    assert fall.at(load=1.0, slew=0.0) == pytest.approx(0.4)
    assert rise.at(load=2.0, slew=0.0) == pytest.approx(0.5)
    assert unit(tiny, "leakage_power_unit") == 1e-9


def test_power_of_two_inverters_by_hand(library):
    power = cell_power(CHAIN, library, activity=lambda net: 0.5, clock_mhz=100)
    # 0.01 pF, 2 V: 0.02 pJ per change; 0.5 changes of 100 MHz: 50 per us.
    assert power.switching_uw == pytest.approx(0.02 * 50)
    assert power.ports_uw == pytest.approx(0.02 * 50)
    # Mean of rise and fall at no slew: 0.2 pJ unloaded, and 0.2 + 0.01 * (0.2 + 0.1) / 2 loaded.
    assert power.internal_uw == pytest.approx((0.2 + 0.2015) * 50)
    assert power.data_pins_uw == 0.0
    assert power.leakage_uw == pytest.approx(6e-3)
    assert power.total_uw == pytest.approx(2 + 20.075 + 6e-3)


def test_a_net_that_rests_takes_leakage_alone(library):
    power = cell_power(CHAIN, library, activity=lambda net: 0.0, clock_mhz=100)
    assert power.total_uw == power.leakage_uw > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cell(INV)", "cell(BUF)", r"no \['INV'\]"),
        ("capacitance : 0.010;", "", "pin A states its capacitance"),
        ("cell_leakage_power : 3.0;", "", "cell INV states its cell_leakage_power"),
        ("nom_voltage : 2.0;", "", "library tiny states its nom_voltage"),
        ("capacitive_load_unit (1, pf);", "", "states its capacitive_load_unit"),
        ('"1nW"', '"1hp"', "leakage_power_unit is a known unit"),
        ("library(tiny)", "cells(tiny)", "one whole library"),
    ],
)
def test_a_library_that_lacks_something_is_refused(library, old, new, message):
    assert old in LIBRARY
    library.write_text(LIBRARY.replace(old, new))
    with pytest.raises(ValueError, match=message):
        cell_power(CHAIN, library, activity=lambda net: 0.5, clock_mhz=100)


def test_half_a_file_and_no_file_are_refused(tmp_path):
    half = tmp_path / "half.lib"
    half.write_text(LIBRARY[: len(LIBRARY) // 2])
    with pytest.raises(ValueError, match="one whole library"):
        read_liberty(half)
    with pytest.raises(ValueError, match="check the path"):
        read_liberty(tmp_path / "none.lib")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None,
    reason="NOT CHECKED AGAINST SYNTHESIS: pyosys is not installed (freezo[synth])",
)
def test_a_mapped_design_has_a_clock_and_only_cells_of_the_library(tmp_path):
    from test_hw_tools import TINY_LIBRARY

    library = tmp_path / "tiny.lib"
    library.write_text(TINY_LIBRARY)
    netlist = map_to_cells(get_design("lfsr:state_bits=16,leap=8"), library, avoid=["XOR2"])
    kinds = [kind for kind, _ in netlist.cells.values()]
    assert kinds.count("DFF") == 16
    assert set(kinds) <= {"NAND2", "NOR2", "INV", "BUF", "DFF"}
    (clock,) = netlist.ports["clk"]
    assert sum(pins.get("C") == clock for _, pins in netlist.cells.values()) == 16
