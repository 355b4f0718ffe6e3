import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib import FrozenPrefix, find_cuts, get_model, split
from freezelib.augment import (
    Moments,
    correct_maps,
    get_view,
    next_layer_gain,
    select_channels,
)
from freezelib.scorers import SCORERS

HFLIP = get_view("hflip")
RANKINGS = ("corr", "cosine", "rel_l2", "error_energy")
CHANNELS, DEAD = 12, (0, 5)


@pytest.fixture(scope="module")
def conv():
    """A prefix with channels of very different energy, two of them dead."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
    layer.weight.data *= torch.logspace(-1, 1, CHANNELS).view(-1, 1, 1, 1)
    layer.weight.data[list(DEAD)] = 0.0
    return FrozenPrefix(nn.Sequential(layer, nn.ReLU()))


@pytest.fixture(scope="module")
def batches():
    return list(torch.randn(48, 3, 8, 8, generator=torch.Generator().manual_seed(1)).split(16))


class Tokens(nn.Module):
    """Patches, each with its own place: ``[n, 4, 6]``."""

    def forward(self, x):
        return x.flatten(1)[:, :24].unflatten(1, (4, 6)) + torch.arange(4.0).view(1, 4, 1)


@settings(max_examples=40, deadline=None)
@given(
    scorer=st.sampled_from(SCORERS),
    correct=st.booleans(),
    threshold=st.floats(-1, 1.01),
    max_fraction=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_every_scorer_keeps_to_threshold_and_budget_and_leaves_dead_channels_alone(
    conv, batches, scorer, correct, threshold, max_fraction, seed
):
    found = select_channels(
        conv,
        batches,
        HFLIP,
        scorer=scorer,
        threshold=threshold,
        max_fraction=max_fraction,
        correct=correct,
        seed=seed,
    )
    assert len(found.scores) == CHANNELS
    assert all(-1 <= score <= 1 for score in found.scores)
    if scorer == "all":
        assert found.channels == list(range(CHANNELS))
        assert (found.corrector, found.residual) == (None, 0)
        return
    budget = 0 if scorer == "none" else int(max_fraction * CHANNELS + 1e-9)
    assert found.channels == sorted(set(found.channels))
    assert not set(found.channels) & set(DEAD)
    assert len(found.channels) <= budget
    if scorer == "random":
        assert len(found.channels) == min(budget, CHANNELS - len(DEAD))
    elif scorer != "none":
        under = [c for c, score in enumerate(found.scores) if score < threshold and c not in DEAD]
        assert len(found.channels) == min(budget, len(under))
        assert set(found.channels) <= set(under)
    assert (found.corrector is not None) == correct


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("scorer", RANKINGS)
def test_the_residual_is_the_error_of_the_map_that_a_reader_makes(conv, batches, scorer, correct):
    found = select_channels(
        conv, batches, HFLIP, scorer=scorer, threshold=1.01, max_fraction=0.5, correct=correct
    )
    x = torch.cat(batches)
    maps, true = HFLIP.apply(conv(x)), conv(HFLIP.apply(x))
    if found.corrector is not None:
        maps = correct_maps(maps, found.corrector)
    maps[:, found.channels] = true[:, found.channels]
    assert found.residual == pytest.approx(float((maps - true).norm() / true.norm()), rel=1e-4)


def test_error_energy_leaves_the_least_error_of_all_selections_of_its_size(conv, batches):
    def residual(scorer, seed=0):
        return select_channels(
            conv, batches, HFLIP, scorer=scorer, threshold=1.01, max_fraction=0.25, seed=seed
        ).residual

    best = residual("error_energy")
    assert all(best <= residual(scorer) for scorer in RANKINGS)
    assert all(best <= residual("random", seed) for seed in range(20))


def test_scores_with_a_corrector_are_those_of_what_it_leaves(conv, batches):
    found = select_channels(conv, batches, HFLIP, scorer="rel_l2", correct=True)
    x = torch.cat(batches)
    corrected = correct_maps(HFLIP.apply(conv(x)), found.corrector)
    expected = Moments.of([(corrected, conv(HFLIP.apply(x)))]).relative_error()
    torch.testing.assert_close(torch.tensor(found.scores).double(), expected, rtol=1e-4, atol=1e-5)
    plain = select_channels(conv, batches, HFLIP, scorer="rel_l2")
    assert found.residual < plain.residual


def test_the_lot_hangs_on_the_seed_alone_and_reaches_every_live_channel(conv, batches):
    def lot(seed, batches=batches):
        return select_channels(
            conv, batches, HFLIP, scorer="random", max_fraction=0.25, threshold=-1, seed=seed
        ).channels

    assert lot(3) == lot(3, batches[:1])
    drawn = [channel for seed in range(60) for channel in lot(seed)]
    assert set(drawn) == set(range(CHANNELS)) - set(DEAD)
    assert max(map(drawn.count, set(drawn))) < 3 * min(map(drawn.count, set(drawn)))


def test_selection_does_not_depend_on_the_batches(conv, batches):
    whole = select_channels(conv, [torch.cat(batches)], HFLIP, correct=True)
    parts = select_channels(conv, batches, HFLIP, correct=True)
    assert parts.channels == whole.channels
    assert parts.scores == pytest.approx(whole.scores, abs=1e-5)


def test_an_unknown_scorer_is_told_the_valid_names(conv, batches):
    with pytest.raises(ValueError, match=r"Unknown scorer 'error_enrgy'.*Did you mean 'error_e"):
        select_channels(conv, batches, HFLIP, scorer="error_enrgy")


@pytest.mark.parametrize("scorer", SCORERS)
def test_no_images_are_refused_by_every_scorer(conv, scorer):
    with pytest.raises(ValueError, match="at least one batch of images"):
        select_channels(conv, [], HFLIP, scorer=scorer)


def test_a_corrector_refuses_batches_that_can_be_read_once(conv, batches):
    with pytest.raises(ValueError, match="twice"):
        select_channels(conv, iter(batches), HFLIP, correct=True)
    once = select_channels(conv, iter(batches), HFLIP)
    assert once.channels == select_channels(conv, batches, HFLIP).channels


@pytest.mark.parametrize("scorer", sorted(set(SCORERS) - {"all"}))
def test_tokens_have_no_counterpart_and_must_be_cached_whole(scorer):
    with pytest.raises(ValueError, match=r"cache it whole \(scorer='all'\)"):
        select_channels(Tokens(), [torch.rand(4, 3, 8, 8)], HFLIP, scorer=scorer)


def test_tokens_can_be_cached_whole():
    found = select_channels(Tokens(), [torch.rand(4, 3, 8, 8)], HFLIP, scorer="all")
    assert found.channels == [0, 1, 2, 3]


def test_a_view_that_moves_nothing_has_the_map_itself_as_its_counterpart(conv, batches):
    """A convolution without bias makes of a scaled image a scaled map, whatever its scale."""
    zero_mean = [images - images.mean((2, 3), keepdim=True) for images in batches]
    view = get_view("contrast:factor=1.25")
    found = select_channels(conv, zero_mean, view, scorer="rel_l2", threshold=0.0)
    alive = [score for c, score in enumerate(found.scores) if c not in DEAD]
    assert [*alive, 1 - found.residual] == pytest.approx([1 - 0.25 / 1.25] * (len(alive) + 1))


def test_a_view_that_moves_nothing_ranks_tokens_too():
    """All change alike, which is the most for the one whose values are the smallest."""
    images = [torch.rand(64, 3, 8, 8)]
    found = select_channels(
        Tokens(), images, get_view("brightness:by=1"), scorer="rel_l2", threshold=0.75
    )
    assert found.scores == sorted(found.scores)
    assert found.channels == [0]


# Gains.


def response(suffix_layer, num_channels, maps=4000):
    """Energy that noise in one channel brings to the output of a layer, by trial."""
    energies = []
    for channel in range(num_channels):
        noise = torch.zeros(maps, num_channels, 3, 3)
        noise[:, channel] = torch.randn(maps, 3, 3)
        energies.append(suffix_layer(noise)[..., 1, 1].square().sum(1).mean())
    return torch.stack(energies).detach()


@pytest.mark.parametrize("groups", [1, 2])
def test_a_gain_is_what_a_convolution_makes_of_noise_in_the_channel(groups):
    layer = nn.Conv2d(4, 6, 3, padding=1, groups=groups, bias=False)
    suffix = torch.fx.symbolic_trace(nn.Sequential(nn.Identity(), layer))
    torch.testing.assert_close(next_layer_gain(suffix, 4), response(layer, 4), rtol=0.15, atol=0.0)


def cut_resnet(k):
    model = get_model("resnet8:width=4", in_channels=1, num_classes=5).eval()
    example = torch.randn(2, 1, 8, 8)
    return model, split(model, find_cuts(model, example)[k - 1], example_input=example)


def squares(layer):
    return layer.weight.detach().square().sum(dim=(0, 2, 3))


def test_gains_of_a_block_count_its_convolution_and_its_shortcut():
    model, (_, suffix) = cut_resnet(1)  # before an identity shortcut
    expected = squares(model.stage1[0].conv1) + 1
    torch.testing.assert_close(next_layer_gain(suffix, 4), expected)
    model, (_, suffix) = cut_resnet(2)  # before a projection
    first = model.stage2[0]
    expected = squares(first.conv1) + squares(first.shortcut[0])
    torch.testing.assert_close(next_layer_gain(suffix, 4), expected)


def test_gains_before_the_head_are_those_of_its_weights():
    model, (_, suffix) = cut_resnet(4)
    expected = model.head.weight.detach().square().sum(0)
    torch.testing.assert_close(next_layer_gain(suffix, 16), expected)


def test_gains_behind_a_flattening_sum_over_the_places_of_a_channel():
    layer = nn.Linear(3 * 4, 2)
    suffix = torch.fx.symbolic_trace(nn.Sequential(nn.ReLU(), nn.Flatten(), layer))
    expected = layer.weight.detach().square().view(2, 3, 4).sum((0, 2))
    torch.testing.assert_close(next_layer_gain(suffix, 3), expected)


def test_a_map_that_reaches_no_weights_has_no_gains():
    suffix = torch.fx.symbolic_trace(nn.Sequential(nn.Softmax(1), nn.Conv2d(3, 3, 1)))
    with pytest.raises(ValueError, match="leave channel_gain empty"):
        next_layer_gain(suffix, 3)
    of_features = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(8, 2)))
    with pytest.raises(ValueError, match="leave channel_gain empty"):
        next_layer_gain(of_features, 5)
