import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.augment import Moments, get_view, sensitive_channels

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


@torch.no_grad()
def moments(prefix, batches, view):
    return Moments.of((view.apply(prefix(x)), prefix(view.apply(x))) for x in batches)


def correlation(prefix, batches, view):
    return moments(prefix, batches, view).correlation()


def test_mirror_symmetric_channels_score_1_and_asymmetric_ones_much_lower():
    prefix = convolution([symmetric(), asymmetric(), symmetric(), asymmetric()])
    scores = correlation(prefix, [images()], HFLIP)
    assert scores.dtype == torch.float64
    assert scores[[0, 2]].min() > 0.9999
    assert scores[[1, 3]].max() < 0.3


def test_a_mirrored_kernel_is_sensitive_to_the_flip_that_it_sees():
    across = torch.randn(3, 3, 3)
    prefix = convolution([across + across.flip(-1), across + across.flip(-2)])
    flipped_down = correlation(prefix, [images()], get_view("vflip"))
    flipped_across = correlation(prefix, [images()], HFLIP)
    assert flipped_across[0] > 0.9999 > flipped_across[1]
    assert flipped_down[1] > 0.9999 > flipped_down[0]


def test_scores_are_centred():
    """A constant on top makes two unlike maps look alike to a plain cosine."""
    prefix = convolution([asymmetric(), symmetric()])
    lifted = nn.Sequential(prefix, Lift(100.0))
    x = images()
    torch.testing.assert_close(
        correlation(lifted, [x], HFLIP), correlation(prefix, [x], HFLIP), rtol=0, atol=1e-4
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
    expected = correlation(prefix, [x], HFLIP)
    prefix[0].weight.data.mul_(scale)
    torch.testing.assert_close(correlation(prefix, [x], HFLIP), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("address", ["hflip", "rotate:degrees=10"])
def test_a_dead_channel_scores_1(address):
    prefix = convolution([asymmetric(), torch.zeros(3, 3, 3), asymmetric()])
    scores = correlation(prefix, [images()], get_view(address))
    assert scores[1] == 1
    assert scores[[0, 2]].max() < 1


def test_a_prefix_with_only_dead_channels_scores_1():
    prefix = convolution([torch.zeros(3, 3, 3)] * 4)
    assert correlation(prefix, [images()], HFLIP).tolist() == [1.0] * 4


@settings(max_examples=40)
@given(value=st.floats(-50, 50, width=32))
@pytest.mark.parametrize("address", ["hflip", "rotate:degrees=10", "shift:x=0.13,y=0"])
def test_a_constant_channel_scores_1(address, value):
    scores = correlation(AppendsConstant(value), [images(8)], get_view(address))
    assert scores[-1] == 1


def test_batches_are_pooled():
    prefix = convolution([torch.randn(3, 3, 3) for _ in range(5)])
    x = images(60)
    whole = correlation(prefix, [x], HFLIP)
    torch.testing.assert_close(
        correlation(prefix, x.split([1, 30, 22, 7]), HFLIP), whole, rtol=0, atol=1e-6
    )


def test_an_antisymmetric_channel_scores_minus_1():
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    layer.weight.data.copy_(torch.stack([asymmetric() for _ in range(4)]))
    scores = correlation(layer, [images()], HFLIP)
    torch.testing.assert_close(scores, torch.full_like(scores, -1.0))
    assert scores.min() >= -1


def test_a_channel_that_is_constant_on_one_side_only_scores_0():
    """It fires for mirrored images alone: the map says nothing about what the view makes of it."""
    a, b = torch.rand(8, 3, 5, 5), torch.rand(8, 3, 5, 5)
    a[:, 0] = 0.0
    b[:, 1] = 2.0
    found = Moments.of([(a, b)])
    assert found.correlation()[:2].tolist() == [0, 0]
    assert found.cosine()[0] == 0


SCORES = {
    "corr": Moments.correlation,
    "cosine": Moments.cosine,
    "rel_l2": Moments.relative_error,
    "error_energy": Moments.error_energy,
}


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(1e-3, 1e3),
    dead=st.integers(0, 3),
    noise=st.floats(0, 3),
)
@pytest.mark.parametrize("scorer", SCORES)
def test_every_score_lies_between_minus_1_and_1_and_dead_channels_score_1(
    scorer, seed, scale, dead, noise
):
    generator = torch.Generator().manual_seed(seed)
    b = scale * torch.randn(4, 7, 3, 3, generator=generator)
    a = b + noise * scale * torch.randn(b.shape, generator=generator)
    b[:, :dead] = 0.0
    scores = SCORES[scorer](Moments.of([(a, b)]))
    assert scores.dtype == torch.float64
    assert (scores.abs() <= 1).all()
    assert (scores[:dead] == 1).all()


@pytest.mark.parametrize("scorer", SCORES)
def test_equal_maps_score_1(scorer):
    maps = torch.rand(4, 6, 3, 3)
    scores = SCORES[scorer](Moments.of([(maps, maps)]))
    torch.testing.assert_close(scores, torch.ones_like(scores))


def test_the_scores_are_what_their_names_say():
    a, b = torch.randn(9, 3, 4, 4) + 1, torch.randn(9, 3, 4, 4) + 1
    found = Moments.of([(a, b)])
    for c in range(3):
        x, y = a[:, c].flatten().double(), b[:, c].flatten().double()
        error = (x - y).norm()
        whole = (b.double().square().sum() / 3).sqrt()
        expected = {
            "corr": torch.corrcoef(torch.stack([x, y]))[0, 1],
            "cosine": torch.cosine_similarity(x, y, dim=0),
            "rel_l2": (1 - error / y.norm()).clamp(-1, 1),
            "error_energy": (1 - error / whole).clamp(-1, 1),
        }
        for scorer, value in expected.items():
            torch.testing.assert_close(SCORES[scorer](found)[c], value)


def test_an_error_counts_for_its_energy_in_error_energy_and_for_its_share_in_rel_l2():
    b = torch.randn(16, 2, 5, 5)
    a = b.clone()
    b[:, 0] *= 10
    a[:, 0] = b[:, 0] * 1.2  # a fifth of a loud channel
    a[:, 1] = b[:, 1] * 1.5  # half of a quiet one
    found = Moments.of([(a, b)])
    assert found.error_energy().argmin() == 0
    assert found.relative_error().argmin() == 1


def test_a_gain_weighs_the_errors():
    b = torch.randn(16, 3, 5, 5)
    found = Moments.of([(b + 0.3 * torch.randn_like(b), b)])
    for heavy in range(3):
        gain = torch.ones(3)
        gain[heavy] = 50.0
        assert found.error_energy(gain).argmin() == heavy
    torch.testing.assert_close(found.error_energy(torch.full((3,), 7.0)), found.error_energy())


@pytest.mark.parametrize(
    "gain", [torch.ones(2), torch.tensor([1.0, -1.0, 1.0]), torch.tensor([1.0, float("nan"), 1.0])]
)
def test_gains_that_are_none_are_refused(gain):
    found = Moments.of([(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4))])
    with pytest.raises(ValueError, match="channel_gain must have one finite value"):
        found.error_energy(gain)


def test_the_residual_is_the_error_of_the_map_that_is_read():
    a, b = torch.randn(5, 6, 4, 4), torch.randn(5, 6, 4, 4)
    found = Moments.of([(a[:2], b[:2]), (a[2:], b[2:])])
    read = a.clone()
    read[:, [1, 4]] = b[:, [1, 4]]
    assert found.residual([1, 4]) == pytest.approx(float((read - b).norm() / b.norm()), rel=1e-6)
    assert found.residual(list(range(6))) == 0


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        correlation(nn.Identity(), [], HFLIP)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_maps_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="must be finite"):
        correlation(AppendsConstant(value), [images()], HFLIP)


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


@settings(max_examples=60)
@given(scores=scores_strategy, max_fraction=st.floats(0, 1), data=st.data())
def test_a_dead_channel_is_never_chosen_and_does_not_use_up_the_budget(scores, max_fraction, data):
    dead = torch.tensor(
        data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    )
    chosen = sensitive_channels(scores, threshold=2.0, max_fraction=max_fraction, dead=dead)
    budget = int(max_fraction * len(scores) + 1e-9)
    assert not dead[chosen].any()
    assert len(chosen) == min(budget, int((~dead).sum()))
