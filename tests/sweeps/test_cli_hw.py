from __future__ import annotations

import importlib.util
import json
import shutil

import pytest

from hwmodel import CATALOG, get_design

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None,
    reason="NOT CHECKED AGAINST SYNTHESIS: pyosys is not installed (freezo[synth])",
)
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None,
    reason="NOT CHECKED AGAINST RTL: iverilog is not installed",
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "bank-31x9"], "did you mean 'bank-31x8'"),
        (["score", "tree-8", "--weights", "0"], "num_weights >= 1"),
        (["score", "tree-8", "--clock-mhz", "0"], "clock_mhz > 0"),
        (["score", "tree-8", "--technology", "sky13"], "sky130-fitted"),
        (["score", "replicate:lanes=3"], "replicate is told its design"),
        (["score", "pool:size=8,lanes=9"], "lanes < size"),
        (["compare", "tree-8", "tree-9"], "did you mean 'tree-8'"),
        (["verilog", "lfsr:taps=(8,4)"], "primitive polynomial"),
        (["simulate", "tree-8", "--cycles", "0"], "cycles >= 1"),
        (["simulate", "tree-8", "--vcd", "nowhere/waves.vcd"], "the folder of vcd exists"),
        (["simulate", "tree-8", "--vcd", "w", "--rtl", "verilator"], "with Icarus"),
        (["synth", "tree-8", "--liberty", "nowhere.lib"], "nowhere.lib"),
        (["calibrate", "--family", "pols"], "did you mean 'pool'"),
        (["calibrate", "--points", "0"], "--points >= 1"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(freezo, arguments, message):
    done = freezo("hw", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


@pytest.mark.parametrize("verb", ["synth", "calibrate", "simulate"])
def test_a_missing_tool_is_named(freezo, monkeypatch, verb):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = {"synth": ["tree-8"], "calibrate": [], "simulate": ["tree-8", "--rtl", "icarus"]}
    done = freezo("hw", verb, *arguments[verb])
    assert done.returncode == 2
    assert "install" in done.stderr


def test_a_score_is_the_models_with_its_source(freezo):
    row = json.loads(freezo("hw", "score", "bank-31x8", "--weights", "86000", "--json").stdout)
    bank = get_design("bank-31x8")
    assert (row["lut"], row["ff"]) == (bank.resources().lut, bank.resources().ff)
    assert row["distinct_directions"] == bank.audit(86000).distinct_directions
    assert row["energy_uj_per_step"] == pytest.approx(
        3 * 86000 * row["energy_pj_per_weight"] / 1e6
    )
    assert row["source"]
    assert row["accuracy"]
    lines = freezo("hw", "score", "bank-31x8").stdout.splitlines()
    assert "ff                    248" in lines


def test_compare_prints_both_readings_and_warns_of_unlike_rates(freezo):
    pair = ["replicate:lanes=1024,design=(tree-8)", "bank-31x8"]
    found = json.loads(freezo("hw", "compare", *pair, "--json").stdout)
    ff = found["savings"]["ff"]
    assert ff["device_points"] == pytest.approx(100 * (1024 * 68 - 248) / 548_160)
    assert found["notes"] == ["the designs make 1024 and 31 numbers per clock"]
    shown = freezo("hw", "compare", *pair).stdout
    assert "points of a ZCU102" in shown
    assert "Note: the designs make" in shown


def test_compare_says_what_a_technology_does_not_cover(freezo):
    done = freezo("hw", "compare", "pool-4093x8", "tree-8", "--technology", "sky130-fitted")
    assert "no energy for the bram of pool" in done.stdout


def test_the_catalogue_lists_every_design_with_date_and_source(freezo):
    rows = json.loads(freezo("hw", "catalog", "--json").stdout)
    assert [row["name"] for row in rows] == list(CATALOG)
    assert all(row["date"] and row["source"] for row in rows)
    assert [get_design(row["spec"]) for row in rows] == [e.design for e in CATALOG.values()]
    assert len(freezo("hw", "catalog").stdout.splitlines()) == len(CATALOG) + 1


def test_verilog_is_the_designs(freezo):
    assert freezo("hw", "verilog", "tree-8").stdout == get_design("tree-8").verilog()


def test_the_cycle_model_is_simulated_without_any_tool(freezo, monkeypatch):
    monkeypatch.setenv("PATH", "")
    row = json.loads(freezo("hw", "simulate", "bank-31x8", "--cycles", "50", "--json").stdout)
    assert row["cycle model = golden stream"] is True
    assert row["bits"] == 50 * 31 * 8
    assert row["activity_simulated"]["ff"] == pytest.approx(0.5, abs=0.05)


def test_a_level_that_differs_ends_with_1(freezo, monkeypatch):
    monkeypatch.setattr(
        "hwmodel.simulate_verilog", lambda design, cycles, **_: -design.codes(0, 9)
    )
    done = freezo("hw", "simulate", "tree-8", "--cycles", "9", "--rtl", "icarus")
    assert done.returncode == 1
    assert "icarus = golden stream       False" in done.stdout


@needs_icarus
def test_waveforms_are_written_on_request(freezo, tmp_path):
    done = freezo("hw", "simulate", "tree-8", "--cycles", "20", "--vcd", "waves.vcd", "--json")
    assert json.loads(done.stdout)["icarus = golden stream"] is True
    assert "$enddefinitions" in (tmp_path / "waves.vcd").read_text()


@pytest.mark.slow
@needs_yosys
def test_synth_prints_the_model_beside_the_tool(freezo):
    found = json.loads(freezo("hw", "synth", "lfsr-8-leap", "--json").stdout)
    assert found["model"] == found["tool"] == {"lut": 8, "ff": 8, "bram": 0, "dsp": 0}
    assert "+0.0 %" in freezo("hw", "synth", "lfsr-8-leap").stdout


@pytest.mark.slow
@needs_yosys
def test_calibrate_prints_the_error_table(freezo):
    done = freezo("hw", "calibrate", "--family", "inverse CDF", "--points", "3", "--json")
    found = json.loads(done.stdout)
    assert [point["held_out"] for point in found["points"]] == [False, False, True]
    assert found["flip_flops_bram_dsp_not_exact"] == []
    assert abs(found["worst_error"]) < 0.25
    assert found["coefficients"]["magnitude_table"] == pytest.approx(1.25, abs=0.3)
