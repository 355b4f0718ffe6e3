import copy
import io

import pytest
import torch
from torch import nn
from torch.nn import functional

from freezelib.cuts import find_cuts, split
from freezelib.models import get_model
from freezelib.policies import Observer, blocks

NEEDS = ("gradient_norm", "weight_delta", "plasticity")
IMAGES = torch.randn(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 4


def resnet():
    torch.manual_seed(1)
    return get_model("resnet8:width=4", in_channels=3, num_classes=4)


def watched(model, needs=NEEDS):
    return Observer(model, find_cuts(model, IMAGES[:2]), IMAGES, needs)


def train_epoch(model, observer, *, frozen=0, lr=0.1):
    ahead = blocks(model, find_cuts(model, IMAGES[:2]))[:frozen]
    names = [name for block in ahead for name in block]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    for rows in torch.arange(16).split(4):
        optimizer.zero_grad()
        functional.cross_entropy(model(IMAGES[rows]), LABELS[rows]).backward()
        observer.after_backward()
        optimizer.step()
    return observer.end_epoch()


def test_blocks_deal_out_every_parameter_once():
    model = resnet()
    cuts = find_cuts(model, IMAGES[:2])
    found = blocks(model, cuts)
    assert len(found) == len(cuts) + 1
    assert sorted(name for block in found for name in block) == sorted(
        name for name, _ in model.named_parameters()
    )
    for cut in cuts:
        prefix, _ = split(model, cut, example_input=IMAGES[:2])
        before = {name for block in found[: cut.index] for name in block}
        assert before == {name for name, _ in prefix.named_parameters()}


def test_a_parameter_that_nothing_uses_belongs_to_the_last_block():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    model.unused = nn.Parameter(torch.zeros(1))
    found = blocks(model, find_cuts(model, IMAGES[:2]))
    assert found == [["0.weight", "0.bias"], ["2.weight", "2.bias"], ["unused"]]


def test_only_what_is_needed_is_measured():
    model = resnet()
    assert watched(model, ()).end_epoch() == {}
    observer = watched(model, ("weight_delta",))
    assert set(train_epoch(model, observer)) == {"weight_delta"}


def test_before_the_first_step_there_is_nothing_to_see():
    assert watched(resnet()).end_epoch() == dict.fromkeys(NEEDS)


def test_the_gradient_norm_is_the_sum_over_steps_and_parameters():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    observer = watched(model, ("gradient_norm",))
    for scale in (1.0, 2.0):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, -scale)
        observer.after_backward()
    sizes = [3.0 * (27 * 4 + 4), 3.0 * (36 * 4 + 4), 0.0]
    assert observer.end_epoch()["gradient_norm"] == pytest.approx(sizes)
    model.zero_grad(set_to_none=True)
    observer.after_backward()
    assert observer.end_epoch()["gradient_norm"] == (0.0, 0.0, 0.0), "an epoch begins at zero"


def test_the_weight_delta_is_relative():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    observer = watched(model, ("weight_delta",))
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter.mul_(2.0)
    observer.after_backward()
    assert observer.end_epoch()["weight_delta"] == pytest.approx((0.5, 0.0, 0.0))


def test_what_is_frozen_does_not_move_and_what_is_not_does():
    model = resnet()
    observer = watched(model)
    for epoch in range(5):
        seen = train_epoch(model, observer, frozen=2)
        assert seen["gradient_norm"][:2] == seen["weight_delta"][:2] == (0.0, 0.0)
        assert all(value > 0 for value in (*seen["gradient_norm"][2:], *seen["weight_delta"][2:]))
        assert (seen["plasticity"] is None) == (epoch < 3)
    # BatchNorm statistics of the frozen blocks still moved, because nobody put them into eval
    assert all(0 < value < 2 for value in seen["plasticity"])


def test_plasticity_of_an_untouched_model_is_zero():
    model = resnet()
    observer = watched(model, ("plasticity",))
    for _ in range(4):
        observer.after_backward()
        seen = observer.end_epoch()
    assert seen["plasticity"] == (0.0,) * 5


def test_watching_changes_neither_modes_nor_statistics_nor_random_numbers():
    model = resnet().train()
    model.bn1.eval()
    modes = [module.training for module in model.modules()]
    state, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    observer = watched(model)
    observer.after_backward()
    observer.end_epoch()
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("stop", [1, 4])
def test_watching_goes_on_after_a_resume_as_if_nothing_had_happened(stop):
    model, whole = resnet(), []
    observer = watched(model)
    for epoch in range(6):
        if epoch == stop:
            kept = io.BytesIO()
            torch.save({"model": model.state_dict(), "observer": observer.state_dict()}, kept)
        whole.append(train_epoch(model, observer))
    kept.seek(0)
    state = torch.load(kept, weights_only=True)
    other = resnet()
    again = watched(other)
    other.load_state_dict(state["model"])
    again.load_state_dict(state["observer"])
    assert [train_epoch(other, again) for _ in range(stop, 6)] == whole[stop:]
