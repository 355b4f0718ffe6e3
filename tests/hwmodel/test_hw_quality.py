"""Statistics of the streams, and scores."""

import numpy as np
import pytest

from hwmodel import (
    ZCU102,
    Clt,
    LfsrBank,
    Pool,
    Replicate,
    TreeGrng,
    compare,
    get_design,
    power_range,
    score,
    technology_names,
)
from hwmodel.quality import linear_complexity, measure_quality, perturbation_rank

GAUSSIANS = ["clt-12x8", "inverse-cdf-12", "box-muller-12", "wallace-1024x12", "tree-8"]


@pytest.mark.parametrize("name", GAUSSIANS)
def test_gaussian_generators_are_standard_normal(name):
    design = get_design(name)
    quality = measure_quality(design, law="normal")
    assert quality.kurtosis == pytest.approx(3, abs=0.13)
    assert quality.law_distance < 0.02
    assert (design.codes(0, 1 << 15) * design.lsb).std() == pytest.approx(1, abs=0.03)


def test_overlapping_words_correlate_and_leaps_do_not():
    single, leaping = (
        measure_quality(get_design(f"lfsr-8{s}"), law="uniform") for s in ("", "-leap")
    )
    assert single.autocorrelation[0] == pytest.approx(0.5, abs=0.02)
    assert abs(leaping.autocorrelation[0]) < 0.02


@pytest.mark.parametrize(("rotation", "rank"), [("ring", 98), ("none", 14)])
def test_rank_of_a_bank_is_its_lfsrs_less_their_means(rotation, rank):
    bank = LfsrBank(num_rngs=7, bits=4, rotation=rotation)
    assert perturbation_rank(bank, num_weights=7 * 31, steps=110) == rank


def test_linear_complexity_of_an_lfsr_is_its_length():
    words = (get_design("lfsr:state_bits=11").codes(0, 200) + 2048) // 2
    assert linear_complexity(words.astype(np.int64) & 1) == 11


def test_score_adds_up():
    found = score(LfsrBank(), "nangate45-fitted", 200, num_weights=1000)
    clocks = -(-1000 // 31)
    assert found.step_us == pytest.approx(3 * clocks / 200)
    assert found.energy_per_step_uj == pytest.approx(3e-6 * clocks * 31 * found.power.energy_pj)
    assert found.energy_per_step_uj == pytest.approx(3e-3 * found.energy_per_weight_pj)
    assert get_design(found.spec) == LfsrBank()


def test_compare_gives_both_readings():
    baseline = Replicate(design=TreeGrng(), lanes=1024)
    savings = compare(baseline, LfsrBank(), technology="sky130-fitted", clock_mhz=100)
    ff = savings["ff"]
    assert ff.device_points == pytest.approx(100 * (1024 * 68 - 248) / ZCU102.ff)
    assert ff.relative_percent == pytest.approx(100 * (1 - 248 / (1024 * 68)))
    assert savings["bram"].relative_percent is None
    assert savings["power_mw"].device_points is None


def test_a_technology_without_memory_says_so_and_is_left_out_of_the_range():
    pool = Pool()
    assert pool.power("sky130-fitted", clock_mhz=100).uncovered == ("bram",)
    low, high = power_range(pool, clock_mhz=100)
    assert low.power_mw < high.power_mw
    assert not low.uncovered
    assert not high.uncovered


def test_every_technology_prices_logic_with_its_source():
    for name in technology_names():
        power = Clt().power(name, clock_mhz=100)
        assert power.power_mw > 0
        assert power.source
        assert power.accuracy
