"""What distinct directions are worth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zo

WEIGHTS = 7_919


def by_eigenvalues(source, num_weights):
    """The participation ratio of all distinct perturbations, as it is defined."""
    bound = source.bind(num_weights)
    count = int(bound.distinct_directions(num_weights))
    rows = np.stack([bound.codes(token, 0, num_weights) for token in range(count)])
    vectors = torch.from_numpy(rows).double()
    vectors /= vectors.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(vectors @ vectors.T)
    return float(values.sum() ** 2 / values.square().sum())


@settings(max_examples=30, deadline=None)
@given(
    address=st.sampled_from(
        ["pool:size=17", "pool:size=31", "pool:size=127", "lfsr_bank:num_rngs=3,bits=5"]
    ),
    seed=st.integers(0, 1000),
)
def test_it_is_the_participation_ratio_of_all_perturbations(address, seed):
    source = zo.get_source(f"{address},seed={seed}")
    found = zo.effective_directions(source, WEIGHTS)
    assert found == pytest.approx(by_eigenvalues(source, WEIGHTS), rel=1e-4)
    assert 1 <= found <= source.bind(WEIGHTS).distinct_directions(WEIGHTS) * (1 + 1e-6)


def test_a_sample_comes_near_the_whole():
    source = zo.get_source("pool:size=1021")
    whole = zo.effective_directions(source, WEIGHTS, sample=1021)
    assert zo.effective_directions(source, WEIGHTS, sample=128) == pytest.approx(whole, rel=0.1)


def test_a_bank_is_worth_more_than_a_pool_of_as_many():
    bank = zo.get_source("lfsr_bank:bits=5,repair=false")
    pools = [zo.get_source(f"pool:size=31,seed={seed}") for seed in range(5)]
    assert bank.bind(WEIGHTS).distinct_directions(WEIGHTS) == 31
    worth = [zo.effective_directions(pool, WEIGHTS) for pool in pools]
    assert zo.effective_directions(bank, WEIGHTS) > 1.3 * max(worth)


def test_unlimited_directions_are_worth_as_many_as_there_are_weights():
    found = zo.effective_directions(zo.get_source("gaussian"), 500, sample=400)
    assert found == pytest.approx(500, rel=0.05)
    assert math.isinf(zo.get_source("gaussian").bind(500).distinct_directions(500))


def test_one_direction_is_worth_one():
    control = zo.get_source("pool:size=4096,phase=fixed")
    assert zo.effective_directions(control, WEIGHTS) == 1.0


def test_random_phases_that_meet_twice_count_once():
    random, all_in_turn = (zo.get_source(f"pool:size=31{rule}") for rule in (",phase=random", ""))
    expected = zo.effective_directions(all_in_turn, WEIGHTS)
    assert zo.effective_directions(random, WEIGHTS) == pytest.approx(expected, rel=0.05)
