import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from freezelib.augment import Augmentation


def on_batch(augmentation, inputs, labels=None, *, seed=0, epoch=0, step=0, num_classes=4):
    labels = torch.arange(len(inputs)) % num_classes if labels is None else labels
    return augmentation.on_batch(
        inputs, labels, seed=seed, epoch=epoch, step=step, num_classes=num_classes
    )


EACH = [
    Augmentation(noise=0.3),
    Augmentation(gain=0.4),
    Augmentation(mixup=0.7),
    Augmentation(noise=0.1, gain=0.2, mixup=1.0),
]


@pytest.mark.parametrize("shape", [(8, 3, 6, 6), (8, 5, 7)])  # maps and tokens
@pytest.mark.parametrize("augmentation", EACH, ids=str)
def test_a_batch_is_a_pure_function_of_seed_epoch_and_step(augmentation, shape):
    inputs = torch.randn(shape)
    before = inputs.clone()
    first = on_batch(augmentation, inputs, seed=3, epoch=2, step=5)
    again = on_batch(augmentation, inputs, seed=3, epoch=2, step=5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(inputs, before)
    assert first[0].shape == shape
    assert first[0].dtype == first[1].dtype == torch.float32 or first[1].dtype == torch.int64
    for other in ({"seed": 4}, {"epoch": 3}, {"step": 6}):
        where = {"seed": 3, "epoch": 2, "step": 5} | other
        assert not torch.equal(on_batch(augmentation, inputs, **where)[0], first[0])


def test_without_any_of_them_a_batch_is_left_as_it_is():
    inputs, labels = torch.randn(4, 2, 3, 3), torch.tensor([0, 1, 2, 3])
    views_and_shifts = Augmentation(views=("hflip",), shift_pixels=4)
    found = on_batch(views_and_shifts, inputs, labels)
    assert found[0] is inputs
    assert found[1] is labels


@settings(max_examples=30)
@given(alpha=st.floats(0.05, 5), count=st.integers(1, 9), step=st.integers(0, 1000))
def test_mixup_mixes_the_labels_as_it_mixes_the_maps(alpha, count, step):
    labels = torch.arange(count) % 4
    maps = functional.one_hot(labels, 4).float().view(count, 4, 1, 1).expand(-1, -1, 2, 2)
    mixed, targets = on_batch(Augmentation(mixup=alpha), maps, labels, step=step)
    torch.testing.assert_close(mixed.mean((2, 3)), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(count))
    assert (targets >= 0).all()


def test_mixup_proportions_follow_the_beta_distribution():
    def share(step):
        maps = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
        return float(on_batch(Augmentation(mixup=0.4), maps, step=step)[0][0])

    shares = np.array([share(step) for step in range(3000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


@settings(max_examples=20)
@given(scale=st.sampled_from([1e-3, 1.0, 1e3]), noise=st.floats(0.05, 1))
def test_noise_is_a_share_of_each_samples_own_strength(scale, noise):
    inputs = scale * torch.randn(2, 8, 40, 40) * torch.tensor([1.0, 5.0]).view(2, 1, 1, 1)
    added = on_batch(Augmentation(noise=noise), inputs)[0] - inputs
    strength = inputs.flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(
        added.flatten(1).std(1) / strength, torch.full((2,), noise), rtol=0.05, atol=0
    )


def test_a_gain_scales_each_sample_by_its_own_factor_and_keeps_zeros_and_signs():
    inputs = torch.randn(500, 2, 3, 3).relu()
    found, _ = on_batch(Augmentation(gain=0.4), inputs)
    assert torch.equal(found == 0, inputs == 0)
    alive = inputs.flatten(1).sum(1) > 0
    factor = (found.flatten(1).sum(1) / inputs.flatten(1).sum(1))[alive]
    torch.testing.assert_close(found[alive], inputs[alive] * factor.view(-1, 1, 1, 1))
    assert 0.6 <= factor.min() < 0.62
    assert 1.38 < factor.max() <= 1.4
