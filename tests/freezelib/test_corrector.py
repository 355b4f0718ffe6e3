import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.augment import correct_maps, fit_corrector, get_view

HFLIP = get_view("hflip")


def affine(maps, matrix, offset):
    return torch.einsum("dc,nchw->ndhw", matrix, maps) + offset.view(1, -1, 1, 1)


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_an_affine_relation_is_found():
    a, matrix, offset = torch.randn(20, 5, 6, 6), torch.randn(5, 5), torch.randn(5)
    corrector = fit_corrector([(a, affine(a, matrix, offset))])
    assert corrector.shape == (5, 6)
    assert corrector.dtype == torch.float32
    fresh = torch.randn(3, 5, 6, 6)
    assert error(correct_maps(fresh, corrector), affine(fresh, matrix, offset)) < 1e-3


def test_mirrored_kernels_are_exchanged():
    """Under a flip each sees what the other saw, so that an exact flip needs no storage at all."""
    left = torch.randn(2, 3, 3, 3)
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    layer.weight.data.copy_(torch.cat([left, left.flip(-1)]))
    prefix, x = nn.Sequential(layer, nn.ReLU()), torch.randn(32, 3, 8, 8)
    with torch.no_grad():
        counterpart, true = HFLIP.apply(prefix(x)), prefix(HFLIP.apply(x))
    corrector = fit_corrector([(counterpart, true)])
    assert error(counterpart, true) > 0.5
    assert error(correct_maps(counterpart, corrector), true) < 2e-3


def test_the_sums_do_not_depend_on_the_batches():
    a, b = torch.rand(30, 4, 5, 5), torch.rand(30, 4, 5, 5)
    whole = fit_corrector([(a, b)])
    parts = fit_corrector(zip(a.split([1, 20, 9]), b.split([1, 20, 9]), strict=True))
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_pairs_that_agree_need_no_correction():
    a = torch.rand(8, 4, 5, 5)
    assert torch.equal(fit_corrector([(a, a)]), torch.eye(4, 5))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(1, 6),
    scale=st.sampled_from([1e-6, 1e-2, 1.0, 1e3]),
    samples=st.integers(1, 6),
)
def test_a_corrector_makes_no_map_worse_that_it_was_fitted_on(seed, channels, scale, samples):
    generator = torch.Generator().manual_seed(seed)
    a, b = (scale * torch.rand(samples, channels, 3, 3, generator=generator) for _ in range(2))
    a[:, : channels // 2] = 0.0  # dead channels make the system singular
    corrected = correct_maps(a, fit_corrector([(a, b)]))
    assert corrected.isfinite().all()
    assert (corrected - b).norm() <= (a - b).norm() * (1 + 1e-3)


def test_channels_that_are_copies_of_each_other_are_no_trouble():
    a = torch.rand(16, 1, 6, 6).repeat(1, 3, 1, 1)
    corrector = fit_corrector([(a, 2 * a)])
    assert corrector.abs().max() < 3
    assert error(correct_maps(a, corrector), 2 * a) < 1e-3


def test_a_channel_that_was_all_but_dead_is_not_blown_up():
    """Where it comes alive later, a coefficient in the millions would drown the map."""
    a = torch.randn(16, 3, 6, 6)
    b = a.clone()
    a[:, 0] *= 1e-7
    b[:, 1] += a[:, 0] * 1e7
    assert fit_corrector([(a, b)]).abs().max() < 10


def test_maps_behind_a_relu_stay_non_negative_and_signed_ones_signed():
    corrector = torch.tensor([[-1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
    signed = torch.randn(3, 2, 4, 4)
    behind = signed.abs()
    assert correct_maps(behind, corrector).min() == 0
    assert torch.equal(correct_maps(behind, corrector)[:, 1], behind[:, 1])
    torch.testing.assert_close(
        correct_maps(signed, corrector),
        affine(signed, corrector[:, :-1], corrector[:, -1]),
    )


def test_what_becomes_of_a_sample_does_not_hang_on_its_batch():
    corrector = torch.tensor([[-1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
    maps = torch.randn(6, 2, 4, 4)
    maps[::2].abs_()  # signed and non-negative samples side by side
    together = correct_maps(maps, corrector)
    alone = torch.cat([correct_maps(sample[None], corrector) for sample in maps])
    torch.testing.assert_close(together, alone)
    assert together[::2].min() == 0
    assert (together[1::2].amin((1, 2, 3)) < 0).all()


def test_maps_are_not_changed_in_place():
    maps = torch.rand(2, 3, 4, 4)
    before = maps.clone()
    correct_maps(maps, torch.randn(3, 4))
    assert torch.equal(maps, before)


def test_a_corrector_needs_finite_maps():
    with pytest.raises(ValueError, match="at least one batch"):
        fit_corrector([])
    with pytest.raises(ValueError, match="must be finite"):
        fit_corrector([(torch.full((1, 2, 3, 3), float("inf")), torch.zeros(1, 2, 3, 3))])
