"""LUTs of look-up tables and of XOR networks: by rule, counted beforehand, built."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.gf2 import TAPS, apply, leap_rows, power, shift_map
from hwmodel.luts import xor_luts
from hwmodel.sampling import FAMILIES, random_designs
from hwmodel.table_counts import count, counted, shapes
from hwmodel.table_luts import TableLuts, table_luts
from hwmodel.xor_network import xor_network, xor_network_luts

SHAPES = list(shapes())


@pytest.mark.parametrize("shape", SHAPES[::7])
def test_what_is_shipped_is_what_the_rules_count(shape):
    shipped, now = counted(*shape), count(shape)
    assert (shipped.narrow, shipped.wide, shipped.registers) == (
        now.narrow,
        now.wide,
        now.registers,
    )
    assert shipped.toggles == pytest.approx(now.toggles, abs=1e-6)


def lookup(function, inputs: int, *, registered: bool = False) -> TableLuts:
    table = tuple(int(function(place)) for place in range(1 << inputs))
    return table_luts(table, width=1, registered=registered)


def test_constants_and_wires_take_no_luts():
    assert lookup(lambda place: 1, 6) == TableLuts(0, 0, 0, 0.0)
    assert lookup(lambda place: place >> 3 & 1, 6).narrow == 0


@pytest.mark.parametrize(("inputs", "luts"), [(2, 1), (6, 1), (7, 2)])
def test_a_parity_takes_a_lut_per_half(inputs, luts):
    assert lookup(lambda place: place.bit_count() & 1, inputs).narrow == luts


def test_pieces_that_are_equal_are_built_once():
    irregular = 0x6B5E_93C1_04F7_A29D
    wide = lookup(lambda place: irregular >> (place & 63) & (place >> 6 != 3), 8)
    assert wide.wide == 2  # one piece, and a LUT that chooses it or nothing


def test_a_register_takes_a_half_that_is_constant_as_its_reset():
    irregular = 0x6B5E_93C1
    table = tuple(irregular >> (place & 31) & 1 if place & 32 else 0 for place in range(64))
    assert table_luts(table, width=1, registered=False).narrow == 1
    assert table_luts(table, width=1, registered=True).narrow == 2


def test_random_designs_are_of_all_families_and_of_no_shape_twice():
    drawn = list(islice(random_designs(3), 200))
    assert {family for family, _ in drawn} == set(FAMILIES)
    assert drawn == list(islice(random_designs(3), 200))
    known = tuple(design for _, design in drawn)
    fresh = [design for _, design in islice(random_designs(4, known=known), 100)]
    names = [design.name for design in (*known, *fresh)]
    assert len(set(names)) == len(names)


@given(st.integers(2, 24), st.integers(1, 300), st.sampled_from(["fibonacci", "galois"]))
def test_a_network_has_the_luts_that_are_counted_without_it(bits, leap, form):
    rows = leap_rows(TAPS[bits], form, leap)
    assert xor_network_luts(rows) == sum(xor_luts(xor.weight) for xor in xor_network(rows))
    built: dict[int, int] = {}
    for xor in xor_network(rows):
        built[xor.row] = xor.mask ^ (0 if xor.base is None else built[xor.base])
    assert tuple(built[bit] for bit in range(bits)) == rows


@given(st.integers(2, 24), st.integers(0, 300), st.sampled_from(["fibonacci", "galois"]))
def test_rows_walked_shift_by_shift_are_those_of_the_power(bits, leap, form):
    linear = power(shift_map(TAPS[bits], form), leap)
    state = (0b1011_0110_0111_0001_1010_1101 % (1 << bits)) or 1
    rows = leap_rows(TAPS[bits], form, leap)
    image = sum((state & row).bit_count() % 2 << bit for bit, row in enumerate(rows))
    assert image == apply(linear, state)
