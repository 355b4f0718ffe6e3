import math

import pytest

from zo.scaling import check_scaling, expected_norm, modulus_scale


def test_expected_norm_of_a_gaussian_vector():
    assert expected_norm(1) == pytest.approx(math.sqrt(2 / math.pi))
    assert expected_norm(16) == pytest.approx(3.938, abs=5e-4)


def test_series_meets_the_formula():
    below, above = expected_norm(10**6), expected_norm(10**6 + 1)
    assert above**2 - below**2 == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize(
    ("scaling", "scale"), [("exact", 1.7389), ("pow2", 2.0), ("none", 1.0), (0.25, 0.25)]
)
def test_modulus_scale(scaling, scale):
    check_scaling(scaling)
    assert modulus_scale(scaling, exact=1.7389) == scale


def test_pow2_is_nearest_in_the_logarithm():
    assert modulus_scale("pow2", exact=1.42) == 2
    assert modulus_scale("pow2", exact=1.41) == 1


@pytest.mark.parametrize("scaling", ["pow3", 0.0, -1.0, math.nan])
def test_unknown_scalings_are_refused(scaling):
    with pytest.raises(ValueError, match="scaling"):
        check_scaling(scaling)
