"""Synthesis, mapped netlists, waveforms and cell libraries, where the tools are installed."""

import importlib.util

import pytest
from hwmodel_levels import skip_without

from hwmodel import (
    LfsrBank,
    Pool,
    Resources,
    ToolMissingError,
    get_design,
    simulate_verilog,
    synthesize,
    synthesize_asic,
)
from hwmodel.calibration import Measurement, calibrate
from hwmodel.calibration_points import POINTS
from hwmodel.gates import gate_activity
from hwmodel.synthesis import count_cells
from hwmodel.vcd import count_toggles

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None,
    reason="NOT CHECKED AGAINST SYNTHESIS: pyosys is not installed (freezo[synth])",
)


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(
    "spec",
    [
        "lfsr_bank:num_rngs=7,rotation=barrel",
        "pool:size=1021",
        "lfsr:state_bits=16,leap=8",
        "lfsr_bank:num_rngs=4,bits=14",
    ],
)
def test_formulae_are_what_yosys_counts(spec):
    design = get_design(spec)
    formula, tool = design.resources(), synthesize(design)
    assert (formula.ff, formula.bram, formula.dsp) == (tool.ff, tool.bram, tool.dsp)
    assert formula.lut == pytest.approx(tool.lut, abs=1)


@pytest.mark.slow
@needs_yosys
def test_activity_of_the_mapped_netlist():
    skip_without("iverilog")
    bank = LfsrBank(num_rngs=3, bits=5)
    seen, said = gate_activity(bank, 400), bank.activity()
    assert seen.ff == pytest.approx(said.ff, abs=0.03)
    assert seen.lut == pytest.approx(said.lut, abs=0.03)


@pytest.mark.slow
@needs_yosys
def test_a_library_of_the_user(tmp_path):
    library = tmp_path / "tiny.lib"
    library.write_text(TINY_LIBRARY)
    area = synthesize_asic(get_design("lfsr:state_bits=3"), library)
    assert area.gate_equivalents == pytest.approx(area.area_um2 / 2.0)
    assert area.area_um2 > 3 * 10.0


def test_a_library_without_flip_flops_is_refused(tmp_path):
    library = tmp_path / "gates.lib"
    library.write_text("library(gates) { cell(NAND2) { area : 2.0; } }")
    with pytest.raises(ValueError, match="NAND and a D flip-flop"):
        synthesize_asic(get_design("lfsr-8"), library)


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError, match="iverilog"):
        simulate_verilog(Pool(size=7), 3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"freezo\[synth\]"):
        synthesize(Pool(size=7))


def test_unknown_cells_are_not_left_out():
    assert count_cells({"LUT6": 2, "FDRE": 3, "RAMB18E1": 1, "CARRY4": 9}) == Resources(
        lut=2, ff=3, bram=0.5
    )
    with pytest.raises(ValueError, match="LATCH"):
        count_cells({"LATCH": 1})


def test_waveforms_count_the_toggles_of_the_cycle_model(tmp_path):
    skip_without("iverilog")
    bank, waves = LfsrBank(num_rngs=3, bits=5), tmp_path / "waves.vcd"
    simulate_verilog(bank, 200, vcd=waves)
    with waves.open() as lines:
        seen = count_toggles(lines)["testbench.dut.s"]
    # The waveform also shows the change after the last clock that the model looks at.
    assert seen == bank.simulate(201).toggles["s"]


def test_a_fit_finds_the_coefficient_it_was_made_with():
    points = [
        Measurement(
            design=get_design(spec),
            family="inverse CDF",
            held_out=place % 3 == 2,
            measured=luts(get_design(spec), magnitude_table=1.5),
            wall_s=1.0,
        )
        for place, spec in enumerate(POINTS["inverse CDF"])
    ]
    fitted = calibrate(points, points={"inverse CDF": POINTS["inverse CDF"]})
    assert fitted.coefficients["magnitude_table"] == pytest.approx(1.5, rel=0.02)
    assert fitted.mean_error(held_out=True) < 0.02
    assert fitted.storage_errors() == []


def luts(design, **coefficients) -> Resources:
    used = design.resources()
    total = sum(n * coefficients.get(name, 1.0) for name, n in design.lut_terms().items())
    return Resources(lut=round(total), ff=used.ff, bram=used.bram, dsp=used.dsp)


TINY_LIBRARY = """
library(tiny) {
  cell(NAND2) { area : 2.0; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "!(A & B)"; } }
  cell(NOR2) { area : 2.0; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "!(A | B)"; } }
  cell(XOR2) { area : 4.0; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "(A ^ B)"; } }
  cell(BUF) { area : 1.5; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "A"; } }
  cell(INV) { area : 1.0; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "!A"; } }
  cell(DFF) { area : 10.0; ff(IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    pin(C) { direction : input; clock : true; } pin(D) { direction : input; }
    pin(Q) { direction : output; function : "IQ"; } }
}
"""
