"""Every perturbation source keeps one contract: add a source here and it inherits the suite."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zo
from zo.sources.periodic import Periodic
from zo.sweep import Sweep
from zo.weights import lay_out

ADDRESSES = [
    "gaussian",
    "gaussian:seed=7",
    "mezo_gaussian",
    "uniform",
    "rademacher",
    "pool",
    "pool:size=31,bits=4",
    "pool:size=4096,repair=false",
    "pool:size=127,bits=1",
    "pool:size=1021,indexing=per_tensor,phase=random",
    "pool:size=509,phase=stride,stride=100,bits=3",
    "lfsr_bank:num_rngs=7,bits=4",
    "lfsr_bank:num_rngs=31,bits=8,rotation=none",
    "lfsr_bank:num_rngs=5,bits=5,leap=1,rotation=barrel",
    "lfsr_bank:num_rngs=13,bits=12,repair=false",
    "lfsr_bank:num_rngs=13,bits=11",
]
PERIODIC = [address for address in ADDRESSES if address.startswith(("pool", "lfsr_bank"))]
WEIGHTS = 70_001

tokens = st.integers(0, 10**6)
starts = st.integers(0, WEIGHTS - 1)
lengths = st.integers(0, 3000)


def tensor_sizes(num_weights):
    third = num_weights // 3
    return [third, third, num_weights - 2 * third]


def bound(address, num_weights=WEIGHTS, queries=1):
    source = zo.get_source(address)
    return source.bind(num_weights, queries=queries, sizes=tensor_sizes(num_weights))


def swept(source, terms, dtype=torch.float32, decay=1.0, initial=0.0):
    """What one sweep leaves in weights that were all ``initial``."""
    params = [
        torch.nn.Parameter(torch.full((size,), initial, dtype=dtype)) for size in source.sizes
    ]
    weights = source.places(lay_out([{"params": params}]))
    sweep = Sweep(source.filler(dtype, torch.device("cpu")), weights)
    with torch.no_grad():
        sweep(terms, decay=decay)
    return torch.cat([param.detach() for param in params]).numpy()


@pytest.mark.parametrize("address", ADDRESSES)
@settings(max_examples=15)
@given(token=tokens, start=starts, length=lengths)
def test_any_slice_equals_the_whole(address, token, start, length):
    source = bound(address)
    length = min(length, WEIGHTS - start)
    whole = source.codes(token, 0, WEIGHTS)
    np.testing.assert_array_equal(source.codes(token, start, length), whole[start:][:length])


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_a_sweep_adds_are_the_codes(address):
    source = bound(address)
    values = source.codes(3, 0, WEIGHTS).astype(np.float32) * np.float32(source.lsb)
    np.testing.assert_array_equal(swept(source, {3: 1.0}), values)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("num_weights", [1, 30, 5000])
def test_models_smaller_than_a_period_or_a_block(address, num_weights):
    source = zo.get_source(address)
    if source.distinct_directions(num_weights) == 1:
        pytest.skip("refused: one direction")
    source = bound(address, num_weights)
    values = source.codes(5, 0, num_weights).astype(np.float32) * np.float32(source.lsb)
    np.testing.assert_array_equal(swept(source, {5: 1.0}), values)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_fused_sweep_is_the_sum_of_its_parts(address):
    source = bound(address)
    first, second = (source.codes(t, 0, WEIGHTS) * source.lsb for t in (8, 9))
    expected = 0.75 * 2.0 + 0.5 * first - 0.25 * second
    got = swept(source, {8: 0.5, 9: -0.25}, dtype=torch.float64, decay=0.75, initial=2.0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("address", ADDRESSES)
@settings(max_examples=10)
@given(token=tokens, num_weights=st.integers(2, 20_000))
def test_sumsq_equals_brute_force(address, token, num_weights):
    source = zo.get_source(address)
    if source.distinct_directions(num_weights) == 1:
        return
    source = bound(address, num_weights)
    values = source.codes(token, 0, num_weights).astype(np.float64) * source.lsb
    assert source.sumsq(token) == pytest.approx(float(values @ values), rel=1e-12)


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_scaled_norm_is_that_of_a_gaussian_vector(address):
    source = bound(address)
    values = source.codes(2, 0, WEIGHTS) * source.lsb * source.exact_scale(2)
    expected = math.sqrt(WEIGHTS) * (1 - 1 / (4 * WEIGHTS))
    tolerance = 1e-6 if isinstance(source, Periodic) else 0.02
    assert np.linalg.norm(values) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("address", ADDRESSES)
def test_mean_and_variance(address):
    source = bound(address, 200_000)
    values = source.codes(0, 0, source.period or 200_000) * source.lsb
    if source.period is None:
        assert abs(values.mean()) < 5 / math.sqrt(values.size)
        assert np.mean(values**2) == pytest.approx(source.variance, rel=0.02)
    else:
        assert abs((values / source.lsb).sum()) <= 1  # an odd pool of +-1 cannot do better
        assert np.mean(values**2) == pytest.approx(source.variance, rel=1e-12)


@pytest.mark.parametrize("address", ADDRESSES)
def test_perturbations_differ_between_steps_and_queries(address):
    source = bound(address, queries=2)
    seen = {source.token(step, query) for step in range(5) for query in range(2)}
    assert len(seen) == 10
    first, second = source.codes(0, 0, WEIGHTS), source.codes(1, 0, WEIGHTS)
    assert (first != second).any()


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_global_generator_is_never_touched(address):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    source = bound(address)
    source.codes(1, 0, 100)
    swept(source, {1: 1.0})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_round_trip(address):
    source = zo.get_source(address)
    assert zo.parse_source(source.spec.address) == source.spec == zo.parse_source(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_binding_leaves_the_source_as_it_was(address):
    source = zo.get_source(address)
    first = source.bind(WEIGHTS)
    codes = first.codes(4, 0, 50)
    second = first.bind(WEIGHTS + 12)
    assert source.num_weights is None
    assert first.dim == WEIGHTS
    assert second.dim == WEIGHTS + 12
    np.testing.assert_array_equal(first.codes(4, 0, 50), codes)
    np.testing.assert_array_equal(
        second.codes(4, 0, 50), source.bind(WEIGHTS + 12).codes(4, 0, 50)
    )


@pytest.mark.parametrize("address", PERIODIC)
def test_codes_are_those_of_the_cycle_simulator(address):
    source, design = bound(address, 700), zo.get_source(address).design()
    first = source.sizes[0]
    for token in range(3):
        clocks = -(-(source.phase(token) + first) // design.numbers_per_cycle)
        simulated = design.simulate(clocks).codes.reshape(-1)[source.phase(token) :]
        np.testing.assert_array_equal(source.codes(token, 0, first), simulated[:first])


@pytest.mark.parametrize(
    ("address", "num_weights", "directions"),
    [
        ("pool:size=4095,repair=false", 86_016, 195),
        ("pool:size=4095", 86_016, 4095),
        ("pool:size=4096", 86_016, 4096),
        ("pool:size=4093,repair=false", 86_016, 4093),
        ("lfsr_bank", 86_016, 7905),
        ("lfsr_bank:repair=false", 86_016, 527),
        ("lfsr_bank:rotation=none,repair=false", 86_016, 17),
        ("lfsr_bank:num_rngs=15,repair=false", 86_016, 51),
        ("lfsr_bank:num_rngs=31,bits=5,repair=false", 86_016, 31),
        ("lfsr_bank:num_rngs=31,bits=8,repair=false", 31 * 255, 31),
    ],
)
def test_observed_directions_equal_the_formula(address, num_weights, directions):
    source = zo.get_source(address)
    assert source.distinct_directions(num_weights) == directions
    source = source.bind(num_weights)
    phases = {source.phase(token) for token in range(2 * directions + 3)}
    starts = {source.codes(token, 0, 256).tobytes() for token in range(min(directions, 600))}
    assert len(phases) == directions
    assert len(starts) == min(directions, 600)


@pytest.mark.parametrize(
    ("address", "num_weights"),
    [
        ("pool:size=4096,repair=false", 86_016),
        ("lfsr_bank:repair=false", 31 * 7905),
        ("lfsr_bank:rotation=none,repair=false", 31 * 255),
    ],
)
def test_a_single_direction_is_refused(address, num_weights):
    source = zo.get_source(address)
    assert source.distinct_directions(num_weights) == 1
    with pytest.raises(ValueError, match="more than one distinct direction"):
        source.bind(num_weights)


@pytest.mark.parametrize("bits", [4, 5, 8])
def test_a_rotation_that_adds_nothing_is_refused(bits):
    num_rngs = {4: 15, 5: 31, 8: 15}[bits]
    with pytest.raises(ValueError, match="adds no state"):
        zo.LfsrBank(num_rngs, bits=bits)
    assert zo.LfsrBank(num_rngs, bits=bits, rotation="none").period == num_rngs * (2**bits - 1)


def test_an_unbound_source_makes_no_numbers():
    with pytest.raises(ValueError, match="not bound"):
        zo.Pool().codes(0, 0, 1)


def test_the_pool_repeats_and_reports_it():
    source = bound("pool:size=31,bits=4")
    codes = source.codes(0, 0, 93)
    np.testing.assert_array_equal(codes[:31], codes[31:62])
    assert source.reuse_factor(310) == 10
    assert zo.Gaussian().reuse_factor(310) == 1
    assert zo.Gaussian().distinct_directions(310) == math.inf
    assert zo.Gaussian().design() is None


def test_lanes_change_the_memory_but_not_the_numbers():
    source = bound("pool:size=127")
    wide = source.design(lanes=4)
    assert wide.numbers_per_cycle == 4
    np.testing.assert_array_equal(wide.codes(0, 500), source.design().codes(0, 500))


def test_mezo_numbers_are_those_of_the_literal_loop():
    source = zo.MezoGaussian(seed=3).bind(47, sizes=[20, 20, 7])
    generator = torch.Generator().manual_seed(source.torch_seed(5))
    drawn = [torch.normal(0.0, 1.0, shape, generator=generator) for shape in [(4, 5), (20,), (7,)]]
    literal = torch.cat([part.flatten() for part in drawn])
    np.testing.assert_array_equal(source.codes(5, 0, 47), literal.numpy())
    assert source.torch_seed(5) < 10**9


def test_an_unsigned_uniform_has_a_mean():
    numbers = zo.Uniform(signed=False).bind(10_000).codes(0, 0, 10_000)
    assert numbers.min() >= 0
    assert numbers.mean() == pytest.approx(0.5, abs=0.02)


def test_a_phase_rule_can_ask_for_a_single_direction():
    source = zo.Pool(31, phase="fixed").bind(100)
    assert source.distinct_directions(100) == 1
    np.testing.assert_array_equal(source.codes(0, 0, 100), source.codes(9, 0, 100))


def test_per_tensor_indexing_begins_every_tensor_anew():
    source = zo.Pool(31, indexing="per_tensor").bind(60, sizes=[25, 35])
    codes = source.codes(2, 0, 60)
    np.testing.assert_array_equal(codes[:25], codes[25:50])
