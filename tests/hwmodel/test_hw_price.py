"""Resources, activity and power."""

import pytest

from hwmodel import Clt, LfsrBank, Multiplier, Pool, Replicate, Resources, get_design
from hwmodel.block_ram import block_ram
from hwmodel.catalog import CATALOG

# Large enough that one draw of start states or contents is like another.
ROOMY = ["lfsr_bank:num_rngs=20,bits=12,leap=1", "pool:size=2048,lanes=8", "clt:terms=5,bits=6"]
TECH = "rapidsilicon-published"


def test_resources_known_from_synthesis():
    assert LfsrBank(num_rngs=31, bits=8, leap=1).resources() == Resources(lut=31, ff=248)
    assert LfsrBank(num_rngs=31, bits=8, leap=1, rotation="barrel").resources().ff == 253
    assert LfsrBank(num_rngs=63, bits=8, leap=1).resources() == Resources(lut=63, ff=504)
    assert LfsrBank(num_rngs=31, bits=14).resources().lut == pytest.approx(528, abs=1)


@pytest.mark.parametrize(
    ("depth", "width", "tiles"),
    [
        (4095, 8, 1),
        (512, 64, 1),
        (64, 512, 7.5),
        (16, 2048, 28.5),
        (4, 8192, 114),
        (8192, 64, 14.5),
        (4221, 12, 1.5),
        (11095, 96, 29.5),
        (10504, 3, 1),
    ],
)
def test_block_ram_known_from_synthesis(depth, width, tiles):
    assert block_ram(depth, width=width).tiles == tiles


# Copies and scaled sources toggle as what they are made of.
PLAIN = [name for name, entry in CATALOG.items() if not hasattr(entry.design, "design")]


@pytest.mark.parametrize("spec", [*PLAIN, *ROOMY])
def test_activity_by_formula_is_what_the_cycle_model_toggles(spec):
    design = get_design(spec)
    seen, said = design.simulate(1500).activity, design.activity()
    assert seen.ff == pytest.approx(said.ff, abs=0.05)
    assert seen.bram == pytest.approx(said.bram, abs=0.08)
    if seen.lut:
        assert seen.lut == pytest.approx(said.lut, abs=0.12)


def test_a_stacked_memory_pays_for_its_multiplexer():
    assert Pool(size=5000).resources() == Resources(lut=17, ff=15, bram=1.5)
    assert Pool(size=4093).resources().ff == 12


def test_a_written_memory_has_whole_bytes():
    assert block_ram(1024, width=48, written=True).tiles == 1.5
    assert block_ram(1036, width=36, written=True).rows == 3


def test_registers_that_wait_become_shift_registers():
    assert Clt(terms=19, bits=10).resources() == Resources(lut=453, ff=592)
    assert Clt(terms=16, bits=8).resources().ff == 402


@pytest.mark.parametrize(("factor", "used"), [(99, {"dsp": 7}), (64, {"ff": 7 * 9})])
def test_a_multiplier_by_a_power_of_two_is_registers(factor, used):
    bank = LfsrBank(num_rngs=7, bits=9)
    scaled = Multiplier(design=bank, factor=factor)
    assert scaled.resources() == bank.resources() + Resources(**used)


def test_power_scales_with_clock_and_lanes():
    slow, fast = (Clt().power(technology=TECH, clock_mhz=mhz) for mhz in (100, 200))
    assert fast.power_mw == pytest.approx(2 * slow.power_mw)
    assert fast.energy_pj == pytest.approx(slow.energy_pj)
    many = Replicate(design=Clt(), lanes=8).power(technology=TECH, clock_mhz=100)
    assert many.power_mw == pytest.approx(8 * slow.power_mw)
    assert many.energy_pj == pytest.approx(slow.energy_pj)


def test_energy_times_rate_is_power():
    power = LfsrBank().power(technology=TECH, clock_mhz=100)
    numbers_per_us = 31 * 100
    assert power.energy_pj * numbers_per_us * 1e-3 == pytest.approx(power.power_mw)


def test_wide_pool_pays_per_bit_read():
    narrow, wide = (Pool(size=4096, lanes=lanes) for lanes in (1, 64))
    assert wide.bram_bits_read == 64 * narrow.bram_bits_read
    assert wide.power(technology=TECH, clock_mhz=100).power_mw > 50


@pytest.mark.parametrize("name", CATALOG)
def test_a_spec_makes_an_equal_design(name):
    design = get_design(name)
    assert get_design(design.spec) == design
    assert get_design(design.spec).name == design.name


def test_specs_nest():
    inner = Replicate(design=Clt(terms=4), lanes=2)
    assert get_design(inner.spec) == inner
