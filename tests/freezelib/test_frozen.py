import pytest
import torch
from frozen_samples import SIDE, frozen_prefix, halves, small_resnet
from torch import fx, nn

from freezelib.cuts import find_cuts, split
from freezelib.frozen import FrozenPrefix, state_digest


def images(count=4):
    return torch.randn(count, 3, SIDE, SIDE)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) for name in left
    )


def test_train_mode_around_it_cannot_unfreeze_a_prefix():
    frozen = frozen_prefix()
    whole = nn.Sequential(frozen, halves()[1])
    before, expected = state(frozen), frozen(images(1).fill_(0.5))
    whole.train()
    assert not any(module.training for module in frozen.modules())
    for _ in range(3):
        frozen(5 + images())
    assert same(state(frozen), before)
    assert torch.equal(frozen(images(1).fill_(0.5)), expected)
    assert whole[1].training


def test_train_mode_of_the_model_it_was_cut_from_cannot_unfreeze_a_prefix():
    model = small_resnet()
    cut = find_cuts(model, images(2))[1]
    frozen = FrozenPrefix(split(model, cut, example_input=images(2))[0])
    x = 5 + images()
    expected = frozen(x)
    model.train()
    assert torch.equal(frozen(x), expected)
    frozen.assert_unchanged()


def test_no_gradient_reaches_a_frozen_prefix():
    frozen = frozen_prefix()
    x = images().requires_grad_()
    assert not frozen(x).requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())


def test_freezing_drops_old_gradients():
    prefix, _ = halves()
    prefix(images()).sum().backward()
    frozen = FrozenPrefix(prefix)
    assert all(p.grad is None for p in frozen.parameters())


def test_an_untouched_prefix_is_unchanged():
    frozen = frozen_prefix()
    frozen(images())
    frozen.assert_unchanged()


@pytest.mark.parametrize("kind", ["parameters", "buffers"])
def test_every_changed_tensor_is_noticed(kind):
    frozen = frozen_prefix()
    for tensor in getattr(frozen, kind)():
        before = tensor.detach().clone()
        tensor.data.reshape(-1)[-1] += 1
        with pytest.raises(RuntimeError, match="must not change"):
            frozen.assert_unchanged()
        tensor.data.copy_(before)
    frozen.assert_unchanged()


def test_a_changed_buffer_that_is_not_persistent_is_noticed():
    prefix = nn.Sequential(nn.Conv2d(3, 4, 3))
    prefix.register_buffer("scale", torch.ones(1), persistent=False)
    frozen = FrozenPrefix(prefix)
    prefix.scale.add_(1)
    with pytest.raises(RuntimeError, match="must not change"):
        frozen.assert_unchanged()


def test_the_digest_is_a_function_of_the_prefix_alone():
    assert frozen_prefix().digest == frozen_prefix().digest
    assert len(frozen_prefix().digest) == 64


def test_two_depths_of_one_model_have_two_digests():
    digests = [FrozenPrefix(halves(k)[0]).digest for k in (1, 2, 3)]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (nn.Conv2d(3, 4, 3, stride=1), nn.Conv2d(3, 4, 3, stride=2)),
        (nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=0)),
        (nn.BatchNorm2d(3, eps=1e-5), nn.BatchNorm2d(3, eps=1e-3)),
        (nn.MaxPool2d(2), nn.AvgPool2d(2)),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
    ],
    ids=["stride", "padding", "eps", "pooling", "slope"],
)
@pytest.mark.parametrize("trace", [fx.symbolic_trace, lambda module: module])
def test_equal_weights_in_another_structure_have_another_digest(ours, theirs, trace):
    theirs.load_state_dict(ours.state_dict())
    left, right = nn.Sequential(ours), nn.Sequential(theirs)
    assert state_digest(trace(left)) != state_digest(trace(right))


def test_the_type_of_a_tensor_is_part_of_the_digest():
    module = nn.Sequential(nn.Linear(2, 2, bias=False))
    nn.init.zeros_(module[0].weight)
    before = state_digest(module)
    assert state_digest(module.bfloat16()) != before
