import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.augment import get_view, score_channels, sensitive_channels

HFLIP = get_view("hflip")
scores_strategy = st.lists(st.floats(-1, 1), min_size=1, max_size=40).map(torch.tensor)


def convolution(kernels):
    layer = nn.Conv2d(3, len(kernels), 3, padding=1, bias=False)
    layer.weight.data.copy_(torch.stack(kernels))
    return nn.Sequential(layer, nn.ReLU())


def symmetric():
    kernel = torch.randn(3, 3, 3)
    return kernel + kernel.flip(-1)


def asymmetric():
    kernel = torch.randn(3, 3, 3)
    return kernel - kernel.flip(-1)


class AppendsConstant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.cat([x, torch.full_like(x[:, :1], self.value)], 1)


def images(count=32):
    return torch.randn(count, 3, 10, 10)


def test_mirror_symmetric_channels_score_1_and_asymmetric_ones_much_lower():
    prefix = convolution([symmetric(), asymmetric(), symmetric(), asymmetric()])
    scores = score_channels(prefix, [images()], HFLIP)
    assert scores.dtype == torch.float64
    assert scores[[0, 2]].min() > 0.9999
    assert scores[[1, 3]].max() < 0.3


def test_a_mirrored_kernel_is_sensitive_to_the_flip_that_it_sees():
    across = torch.randn(3, 3, 3)
    prefix = convolution([across + across.flip(-1), across + across.flip(-2)])
    flipped_down = score_channels(prefix, [images()], get_view("vflip"))
    flipped_across = score_channels(prefix, [images()], HFLIP)
    assert flipped_across[0] > 0.9999 > flipped_across[1]
    assert flipped_down[1] > 0.9999 > flipped_down[0]


def test_scores_are_centred():
    """A constant on top makes two unlike maps look alike to a plain cosine."""
    prefix = convolution([asymmetric(), symmetric()])
    lifted = nn.Sequential(prefix, Lift(100.0))
    x = images()
    torch.testing.assert_close(
        score_channels(lifted, [x], HFLIP), score_channels(prefix, [x], HFLIP), rtol=0, atol=1e-4
    )


class Lift(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x + self.by


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e4])
def test_scores_do_not_depend_on_the_scale_of_the_maps(scale):
    prefix = convolution([asymmetric(), symmetric(), torch.randn(3, 3, 3)])
    x = images()
    expected = score_channels(prefix, [x], HFLIP)
    prefix[0].weight.data.mul_(scale)
    torch.testing.assert_close(score_channels(prefix, [x], HFLIP), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("address", ["hflip", "rotate:degrees=10"])
def test_a_dead_channel_scores_1(address):
    prefix = convolution([asymmetric(), torch.zeros(3, 3, 3), asymmetric()])
    scores = score_channels(prefix, [images()], get_view(address))
    assert scores[1] == 1
    assert scores[[0, 2]].max() < 1


def test_a_prefix_with_only_dead_channels_scores_1():
    prefix = convolution([torch.zeros(3, 3, 3)] * 4)
    assert score_channels(prefix, [images()], HFLIP).tolist() == [1.0] * 4


@settings(max_examples=40)
@given(value=st.floats(-50, 50, width=32))
@pytest.mark.parametrize("address", ["hflip", "rotate:degrees=10", "shift:x=0.13,y=0"])
def test_a_constant_channel_scores_1(address, value):
    scores = score_channels(AppendsConstant(value), [images(8)], get_view(address))
    assert scores[-1] == 1


def test_batches_are_pooled():
    prefix = convolution([torch.randn(3, 3, 3) for _ in range(5)])
    x = images(60)
    whole = score_channels(prefix, [x], HFLIP)
    torch.testing.assert_close(
        score_channels(prefix, x.split([1, 30, 22, 7]), HFLIP), whole, rtol=0, atol=1e-6
    )


def test_an_antisymmetric_channel_scores_minus_1():
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    layer.weight.data.copy_(torch.stack([asymmetric() for _ in range(4)]))
    scores = score_channels(layer, [images()], HFLIP)
    torch.testing.assert_close(scores, torch.full_like(scores, -1.0))
    assert scores.min() >= -1


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        score_channels(nn.Identity(), [], HFLIP)


@settings(max_examples=150)
@given(
    scores=scores_strategy,
    threshold=st.floats(-1, 1.01),
    max_fraction=st.floats(0, 1),
)
def test_sensitive_channels_are_the_worst_under_the_threshold_within_the_budget(
    scores, threshold, max_fraction
):
    chosen = sensitive_channels(scores, threshold=threshold, max_fraction=max_fraction)
    left = [c for c in range(len(scores)) if c not in chosen]
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= max_fraction * len(scores) + 1e-6
    assert all(scores[c] < threshold for c in chosen)
    assert all(scores[c] <= scores[d] for c in chosen for d in left)
    budget_is_spent = len(chosen) + 1 > max_fraction * len(scores)
    assert budget_is_spent or all(scores[d] >= threshold for d in left)


@settings(max_examples=50)
@given(scores=scores_strategy)
def test_the_ends_of_threshold_and_budget(scores):
    everything = list(range(len(scores)))
    assert sensitive_channels(scores, threshold=1.01, max_fraction=1.0) == everything
    assert sensitive_channels(scores, threshold=-1.0, max_fraction=1.0) == []
    assert sensitive_channels(scores, threshold=1.01, max_fraction=0.0) == []


@pytest.mark.parametrize(
    ("channels", "fraction"), [(10, 0.3), (100, 0.29), (49, 3 / 49), (3, 1 / 3)]
)
def test_a_budget_of_a_whole_number_of_channels_is_that_number(channels, fraction):
    chosen = sensitive_channels(torch.zeros(channels), threshold=0.5, max_fraction=fraction)
    assert len(chosen) == round(channels * fraction)
