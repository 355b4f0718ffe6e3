"""The formulae for distinct directions against streams that are walked step by step."""

from math import gcd

from hypothesis import given, settings
from hypothesis import strategies as st
from test_hw_streams import banks, pools

from hwmodel import LfsrBank, Pool
from hwmodel.directions import bank_directions, distinct_places, smallest_repair


def directions_met(design, advance: int) -> int:
    """Return how many different stretches a training meets that advances so many numbers."""
    met = set()
    for step in range(10**6):
        seen = design.codes(step * advance, 2 * design.period).tobytes()
        if seen in met:
            return len(met)
        met.add(seen)
    raise AssertionError("the stream never came round")


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 500))
@settings(deadline=None, max_examples=60)
def test_pool(size, bits, num_weights):
    pool = Pool(size=size, bits=bits)
    expected = distinct_places(size, advance=num_weights)
    assert directions_met(pool, num_weights) == expected
    assert pool.audit(num_weights).distinct_directions == expected


@given(
    st.integers(2, 4).flatmap(
        lambda bits: st.tuples(st.just(bits), st.integers(1, min(9, 2**bits - 1)))
    ),
    st.sampled_from(["ring", "none"]),
    st.integers(1, 500),
)
@settings(deadline=None, max_examples=60)
def test_bank(shape, rotation, num_weights):
    bits, num_rngs = shape
    bank = LfsrBank(num_rngs=num_rngs, bits=bits, rotation=rotation)
    expected = bank_directions(
        num_rngs,
        lfsr_period=2**bits - 1,
        num_weights=num_weights,
        rotated=rotation == "ring",
    )
    clocks = -(-num_weights // num_rngs)
    assert directions_met(bank, clocks * num_rngs) == expected
    assert bank.audit(num_weights).distinct_directions == expected


def test_known_figures():
    assert distinct_places(4095, advance=1_315_758_080) == 9
    assert distinct_places(4093, advance=1_315_758_080) == 4093
    bank = {"lfsr_period": 255, "num_weights": 31 * 255}
    assert bank_directions(31, **bank, rotated=True) == 31
    assert bank_directions(31, **bank, rotated=False) == 1
    assert bank_directions(31, **bank, rotated=True, idle_clocks=1) == 7905


@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_repair_reaches_the_whole_cycle(cycle, advance):
    extra = smallest_repair(cycle, advance=advance)
    assert gcd(advance + extra, cycle) == 1
    assert all(gcd(advance + less, cycle) > 1 for less in range(extra))


@given(st.one_of(banks, pools), st.integers(1, 10**9))
def test_audit_is_bounded_by_the_stream(design, num_weights):
    audit = design.audit(num_weights)
    assert 1 <= audit.distinct_directions <= design.period
    assert audit.reuse_factor == max(1, num_weights / design.period)
