"""Properties of the golden streams: random access, mean, law, seeds that never change."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel import Clt, LfsrBank, Pool, Replicate
from hwmodel.gf2 import TAPS, orbit, shift_map
from hwmodel.hashing import distinct_below, splitmix64

banks = st.integers(2, 10).flatmap(
    lambda bits: st.builds(
        LfsrBank,
        bits=st.just(bits),
        num_rngs=st.integers(2, min(40, 2**bits - 1)),
        rotation=st.sampled_from(["ring", "barrel", "none"]),
        seed=st.integers(0, 2**64 - 1),
    )
)
pools = st.integers(2, 300).flatmap(
    lambda size: st.builds(
        Pool,
        size=st.just(size),
        bits=st.integers(1, 16),
        lanes=st.integers(1, size - 1),
        seed=st.integers(0, 2**64 - 1),
    )
)
clts = st.builds(Clt, terms=st.integers(2, 15), bits=st.integers(2, 5), seed=st.integers(0, 99))
designs = st.one_of(banks, pools, clts)


@given(designs, st.integers(0, 10**12), st.integers(0, 500), st.integers(0, 500))
def test_any_stretch_can_be_read_alone(design, start, first, second):
    whole = design.codes(start, first + second)
    parts = [design.codes(start, first), design.codes(start + first, second)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.int32


@given(designs, st.integers(0, 10**6))
def test_stream_repeats_after_its_period(design, start):
    assert np.array_equal(design.codes(start, 200), design.codes(start + design.period, 200))


@given(designs)
def test_a_whole_period_is_the_stream(design):
    period = design.period_codes()
    assert np.array_equal(period, design.codes(0, design.period))
    assert period.dtype == (np.int16 if design.word_bits < 16 else np.int32)


@given(banks)
def test_bank_has_zero_mean_over_a_period(bank):
    codes = bank.codes(0, bank.period)
    assert codes.sum() == 0
    assert np.abs(codes).max() * bank.lsb < 1


@given(pools)
def test_pool_has_zero_mean_within_its_range(pool):
    codes = pool.contents
    highest = max(1, 2 ** (pool.bits - 1) - 1)
    assert np.abs(codes).max() <= highest
    assert abs(codes.sum()) == (pool.size % 2 if pool.bits == 1 else 0)
    assert set(np.unique(codes)) <= {-1, 1} or pool.bits > 1


@given(banks)
def test_rings_and_barrels_emit_the_same_stream(bank):
    fields = {"num_rngs": bank.num_rngs, "bits": bank.bits, "seed": bank.seed}
    ring, barrel = (LfsrBank(**fields, rotation=turning) for turning in ("ring", "barrel"))
    assert np.array_equal(ring.codes(0, 2000), barrel.codes(0, 2000))


@given(banks, st.integers(0, 10**9), st.integers(0, 5000))
def test_a_woven_stretch_is_what_the_orbit_says(bank, start, length):
    assert np.array_equal(bank._weave(start, length), bank._gather(start, length))


@pytest.mark.parametrize("rotation", ["ring", "none"])
@pytest.mark.parametrize(("num_rngs", "bits"), [(1, 17), (7, 17), (31, 16), (200, 14), (1500, 11)])
def test_blocks_of_a_bank_too_long_to_keep_fit_together(num_rngs, bits, rotation):
    bank = LfsrBank(num_rngs=num_rngs, bits=bits, rotation=rotation)
    start, length = bank.period - 300_000, 600_001
    assert np.array_equal(bank._weave(start, length), bank._gather(start, length))


def test_clt_is_nearly_standard_normal():
    clt = Clt(terms=12, bits=8)
    values = clt.codes(0, clt.period) * clt.lsb
    assert abs(values.mean()) < 1e-2
    assert abs(values.std() - 1) < 1e-2
    assert abs((values**4).mean() / values.var() ** 2 - 2.9) < 0.05  # 3 - 6/5 per term


def test_copies_interleave_and_differ():
    pair = Replicate(design=Clt(terms=4, bits=6), lanes=2)
    rows = pair.codes(0, 2000).reshape(-1, 2)
    for lane, copy in enumerate(pair.copies):
        assert np.array_equal(rows[:, lane], copy.codes(0, 1000))
    assert not np.array_equal(rows[:, 0], rows[:, 1])


@pytest.mark.parametrize("bits", [b for b in TAPS if b <= 18])
def test_every_tap_set_is_maximal(bits):
    states = orbit(shift_map(TAPS[bits]), 2**bits)
    assert states[-1] == 1
    assert np.array_equal(np.sort(states[:-1]), np.arange(1, 2**bits))


def test_seeds_mean_the_same_for_ever():
    # First outputs of the splitmix64 reference implementation for seed 0.
    assert [hex(word) for word in splitmix64(0, 3).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert LfsrBank().codes(1000, 5).tolist() == [208, -82, 222, -102, -68]
    assert LfsrBank(rotation="none").codes(1000, 5).tolist() == [-198, 208, -82, 222, -102]
    assert Pool().codes(1000, 5).tolist() == [-49, -24, 58, -127, -55]
    assert Clt().codes(1000, 5).tolist() == [-132, 294, -158, -82, -132]


@given(st.integers(1, 200), st.data())
def test_distinct_below_fills_the_range(bound, data):
    count = data.draw(st.integers(1, bound))
    found = distinct_below(bound, count, seed=7)
    assert len(set(found)) == count
    assert set(found) <= set(range(bound))


def test_importing_is_free():
    script = "import sys, hwmodel; print({'numpy', 'torch'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert shown.stdout.strip() == "set()"
