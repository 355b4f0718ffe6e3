import pytest
import torch
from torch import nn

from freezelib.models import CifarResNet, get_model

RESNETS = {"resnet8": 8, "resnet14": 14, "resnet20": 20, "resnet32": 32, "resnet56": 56}


def model(address, in_channels=3, num_classes=10):
    return get_model(address, in_channels=in_channels, num_classes=num_classes)


@pytest.mark.parametrize(("address", "layers"), RESNETS.items())
def test_a_cifar_resnet_has_as_many_layers_as_its_name_says(address, layers):
    weighted = [
        module
        for name, module in model(f"{address}:width=1").named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(weighted) == layers


def test_resnet20_has_the_size_of_the_paper_and_its_projections():
    paper, projections = 269_722 + 2 * 1, (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    found = sum(p.numel() for p in model("resnet20").parameters())
    assert found == pytest.approx(paper + projections, abs=8)


@pytest.mark.parametrize("address", ["resnet8", "resnet8:width=3", "torchvision/resnet18"])
@pytest.mark.parametrize("num_classes", [2, 7])
def test_logits_have_a_column_per_class(address, num_classes):
    built = model(address, num_classes=num_classes).eval()
    assert built(torch.randn(2, 3, 32, 32)).shape == (2, num_classes)


@pytest.mark.parametrize("side", [8, 28, 33])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_cifar_resnet_takes_images_of_any_size_and_channels(side, in_channels):
    built = model("resnet8:width=2", in_channels=in_channels)
    assert built(torch.randn(2, in_channels, side, side)).shape == (2, 10)


def test_stages_double_the_width_and_halve_the_side():
    built, x = model("resnet8:width=4"), torch.randn(1, 3, 16, 16)
    x = built.stage1(built.bn1(built.conv1(x)))
    shapes = [x.shape[1:], (x := built.stage2(x)).shape[1:], built.stage3(x).shape[1:]]
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_the_global_generator_draws_the_weights():
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(model("resnet8:width=2").state_dict()["conv1.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_every_parameter_gets_a_gradient():
    built = model("resnet8:width=2")
    assert isinstance(built, CifarResNet)
    built(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in built.parameters())


def test_parameters_of_a_torchvision_builder_are_handed_on():
    slim = model("torchvision/mobilenet_v3_small:dropout=0.5")
    assert 0.5 in {m.p for m in slim.modules() if isinstance(m, nn.Dropout)}


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("resnet200", r"Unknown model 'resnet200'.*Did you mean 'resnet20'\?"),
        ("resnet8:width=0", "width >= 1"),
        ("resnet8:width=1.5", "width=INT"),
        ("resnet8:width=wide", "width=INT"),
        ("resnet8:depth=2", "takes width=INT"),
        ("torchvision/resnet81", r"Did you mean 'resnet18'\?"),
        ("torchvision/", "Unknown torchvision model"),
    ],
)
def test_a_bad_address_is_refused(address, match):
    with pytest.raises(ValueError, match=match):
        model(address)


def test_torchvision_models_need_three_channels():
    with pytest.raises(ValueError, match="3 channels, but got in_channels=1"):
        model("torchvision/resnet18", in_channels=1)
