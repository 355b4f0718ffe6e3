import operator

import pytest
import torch
from torch import nn

from freezelib.cuts import find_cuts, split
from freezelib.models import get_model
from freezelib.vision import models

MODELS = [
    pytest.param("resnet8:width=4", 16, id="resnet8"),
    pytest.param("resnet14:width=4", 16, id="resnet14"),
    pytest.param("resnet20:width=4", 16, id="resnet20"),
    pytest.param("resnet56:width=2", 16, id="resnet56", marks=pytest.mark.slow),
    pytest.param("torchvision/resnet18", 64, id="resnet18"),
    pytest.param("torchvision/resnet50", 64, id="resnet50", marks=pytest.mark.slow),
    pytest.param("torchvision/mobilenet_v3_small", 64, id="mobilenet_v3_small"),
    pytest.param("torchvision/vgg16_bn", 32, id="vgg16_bn", marks=pytest.mark.slow),
    pytest.param("torchvision/densenet121", 64, id="densenet121"),
    pytest.param("torchvision/efficientnet_b0", 64, id="efficientnet_b0"),
    pytest.param("torchvision/convnext_tiny", 64, id="convnext_tiny", marks=pytest.mark.slow),
    pytest.param("torchvision/vit_b_16:image_size=32", 32, id="vit_b_16", marks=pytest.mark.slow),
    pytest.param("small vision transformer", 32, id="vit"),
]


class Lambda(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def conv(in_channels=3, channels=3):
    return nn.Conv2d(in_channels, channels, 3, padding=1)


def flat_head(channels=3):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2))


def built(address, side):
    if address == "small vision transformer":
        model = models.VisionTransformer(
            image_size=side,
            patch_size=8,
            num_layers=3,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
            num_classes=4,
        )
        nn.init.normal_(model.heads.head.weight)  # torchvision starts it at zero
    else:
        model = get_model(address, in_channels=3, num_classes=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return model, torch.randn(2, 3, side, side)


def cut_in_two(model, x, k=1):
    return split(model, find_cuts(model, x)[k - 1], example_input=x)


@pytest.mark.parametrize(("address", "side"), MODELS)
@torch.no_grad()
def test_every_cut_reproduces_the_model_and_costs_more_than_the_one_before(address, side):
    model, x = built(address, side)
    expected = model.eval()(x)
    cuts = find_cuts(model, x)
    for cut in cuts:
        prefix, suffix = split(model, cut, example_input=x)
        feature_map = prefix(x)
        assert tuple(feature_map.shape[1:]) == cut.map_shape
        assert feature_map[0].numel() * 4 == cut.bytes_per_sample
        assert torch.equal(suffix(feature_map), expected)
        assert suffix(prefix(x[:1])).shape == (1, 4), "the halves are bound to one batch size"
    shares = [cut.prefix_mac_share for cut in cuts]
    assert shares == sorted(shares)
    assert len(set(shares)) == len(shares), "two cuts around no work at all"
    assert shares[0] > 0
    assert shares[-1] < 1, "the head multiplies, too"
    assert [cut.index for cut in cuts] == list(range(1, len(cuts) + 1))


@pytest.mark.parametrize(
    ("address", "blocks"), [("resnet8", 3), ("resnet14", 6), ("resnet20", 9), ("resnet32", 15)]
)
def test_a_residual_network_is_cut_after_its_stem_and_after_every_block(address, blocks):
    model, x = built(f"{address}:width=2", 8)
    cuts = find_cuts(model, x)
    assert len(cuts) == blocks + 1
    assert all("relu" in cut.node for cut in cuts)


def test_no_cut_lies_inside_a_residual_branch():
    def residual(m, x):
        x = m.stem(x)
        inner = torch.relu(m.first(x))
        return m.head(m.second(inner) + x)

    model = Lambda(residual, stem=conv(), first=conv(), second=conv(), head=flat_head())
    assert [cut.node for cut in find_cuts(model, torch.randn(2, 3, 8, 8))] == ["stem", "add"]


def test_a_dense_connection_forbids_every_cut_that_it_passes():
    def dense(m, x):
        a = m.first(x)
        b = m.second(a)
        return m.head(torch.cat([a, b], 1))

    model = Lambda(dense, first=conv(), second=conv(), head=flat_head(6))
    assert [cut.node for cut in find_cuts(model, torch.randn(2, 3, 8, 8))] == ["first", "cat"]


def test_the_share_of_multiplications_is_that_of_the_convolutions():
    model = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 8), nn.ReLU(), flat_head(8))
    first, second, head = 64 * 27 * 4, 64 * 36 * 8, 8 * 2
    cuts = find_cuts(model, torch.randn(2, 3, 8, 8))
    total = first + second + head
    assert [cut.prefix_mac_share for cut in cuts] == pytest.approx(
        [first / total, (first + second) / total]
    )


def test_attention_is_counted_as_the_products_that_it_is():
    model = get_model("torchvision/vit_b_16:image_size=64", in_channels=3, num_classes=4)
    cuts = find_cuts(model, torch.randn(2, 3, 64, 64))
    patches, dim, mlp, layers = (64 // 16) ** 2, 768, 3072, 12
    tokens = patches + 1
    embedding = patches * 3 * 16 * 16 * dim
    attention = tokens * 4 * dim * dim + 2 * tokens * tokens * dim
    whole = embedding + layers * (attention + 2 * tokens * dim * mlp) + 4 * dim
    shares = [cut.prefix_mac_share for cut in cuts]
    assert len(cuts) == 2 * layers + 1
    assert shares[0] == pytest.approx(embedding / whole)
    assert shares[1] == pytest.approx((embedding + attention) / whole)
    assert shares[-1] == pytest.approx(1 - 4 * dim / whole)
    assert all(cut.map_shape == (tokens, dim) for cut in cuts)


def test_of_places_with_no_work_between_them_the_smallest_map_is_cut():
    widening = nn.Sequential(conv(), nn.AvgPool2d(2), nn.Upsample(scale_factor=4), conv())
    narrowing = nn.Sequential(conv(), nn.Upsample(scale_factor=4), nn.AvgPool2d(8), conv())
    x = torch.randn(2, 3, 8, 8)
    assert [cut.map_shape for cut in find_cuts(widening, x)] == [(3, 16, 16)]
    assert [cut.map_shape for cut in find_cuts(narrowing, x)] == [(3, 4, 4)]


def test_there_is_work_before_a_cut_also_in_a_suffix():
    model = nn.Sequential(
        nn.AvgPool2d(2),
        nn.Sequential(conv(), nn.AvgPool2d(4)),  # the smallest map; behind it none, then a large
        nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=4)),
        nn.Sequential(conv(), conv()),
    ).eval()
    x = torch.randn(2, 3, 16, 16)
    cuts = find_cuts(model, x)
    assert [cut.node for cut in cuts] == ["_1_1", "_3_0"]
    prefix, suffix = split(model, cuts[0], example_input=x)
    assert [cut.node for cut in find_cuts(suffix, prefix(x).detach())] == ["_3_0"]


def test_cuts_are_had_by_the_names_of_modules():
    model, x = built("resnet20:width=2", 8)
    every = find_cuts(model, x)
    named = find_cuts(model, x, at=("stage2", "stage1", "bn1", "stage3.1"))
    assert [cut.node for cut in named] == [every[k - 1].node for k in (1, 4, 7, 9)]
    assert [cut.index for cut in named] == [1, 2, 3, 4]
    assert [cut.prefix_mac_share for cut in named] == [
        every[k - 1].prefix_mac_share for k in (1, 4, 7, 9)
    ]
    assert len(split(model, named[1], example_input=x)) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stage4", "Did you mean 'stage"),
        ("stage1.0.conv1", "inside a block.*relu"),
        ("head", "inside a block"),
    ],
)
def test_a_module_that_does_not_end_at_a_cut_is_refused(name, message):
    model, x = built("resnet8:width=2", 8)
    with pytest.raises(ValueError, match=message):
        find_cuts(model, x, at=(name,))


def test_a_suffix_can_be_cut_again_where_the_model_could():
    model, x = built("resnet8:width=2", 8)
    model.eval()
    cuts = find_cuts(model, x)
    prefix, suffix = split(model, cuts[0], example_input=x)
    maps = prefix(x)
    again = find_cuts(suffix, maps)
    assert [cut.node for cut in again] == [cut.node for cut in cuts[1:]]
    middle, rest = split(suffix, again[1], example_input=maps)
    with torch.no_grad():
        assert torch.equal(rest(middle(maps)), model(x))


def test_a_place_whose_first_dimension_is_no_sample_is_no_cut():
    def turned(m, x):  # to [positions, samples, channels] and back, as recurrent layers want it
        x = m.first(x).flatten(2).permute(2, 0, 1)
        x = m.inner(x).relu()
        return m.last(x.permute(1, 2, 0).unflatten(2, (8, 8)))

    modules = {"first": conv(), "inner": nn.Linear(3, 3), "last": conv()}
    for samples in (2, 64):  # 64: as many as there are positions
        model = Lambda(turned, **modules)
        cuts = find_cuts(model, torch.randn(samples, 3, 8, 8))
        assert [cut.map_shape for cut in cuts] == [(3, 64), (3, 8, 8)]


def test_a_model_bound_to_one_batch_size_is_refused():
    model = Lambda(lambda m, x: m.last(m.first(x).view(2, 3, 8, 8)), first=conv(), last=conv())
    with pytest.raises(ValueError, match="any number of samples"):
        find_cuts(model, torch.randn(2, 3, 8, 8))


def test_a_model_of_vectors_has_no_feature_map():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"feature map \[n, C, positions\]"):
        find_cuts(model, torch.randn(2, 4))


def test_a_model_with_two_outputs_is_refused():
    model = Lambda(lambda m, x: (m.last(m.first(x)), x), first=conv(), last=conv())
    with pytest.raises(ValueError, match="one tensor for a batch"):
        find_cuts(model, torch.randn(2, 3, 8, 8))


def test_a_hidden_second_tensor_is_refused():
    class Behind(nn.Module):  # built so that the tracer sees one tensor, and the model passes two
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = Keeps(), Recalls(), flat_head()
            self.second.keeper = (self.first,)

        def forward(self, x):
            return self.head(self.second(self.first(x)))

    model = Behind()
    x = torch.randn(2, 3, 8, 8)
    with pytest.raises(ValueError, match="another tensor passes the cut"):
        cut_in_two(model, x)


class Keeps(nn.Conv2d):
    __module__ = "torch.nn"  # a leaf to the tracer, as any compiled or wrapped layer is

    def __init__(self):
        super().__init__(3, 3, 3, padding=1)
        self.kept = []

    def forward(self, x):
        self.kept[:] = [x.mean()]
        return super().forward(x)


class Recalls(nn.Conv2d):
    __module__ = "torch.nn"

    def __init__(self):
        super().__init__(3, 3, 3, padding=1)

    def forward(self, x):
        return super().forward(x) + self.keeper[0].kept[0]


def test_weights_tied_across_the_cut_are_refused():
    shared = conv()
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), conv(), flat_head())
    x = torch.randn(2, 3, 8, 8)
    cuts = find_cuts(model, x)
    with pytest.raises(ValueError, match="tied weights"):
        split(model, cuts[0], example_input=x)
    behind_the_last_use = split(model, cuts[1], example_input=x)
    assert len(behind_the_last_use) == 2


def test_an_untraceable_model_is_named():
    model = Lambda(lambda m, x: x if x.sum() > 0 else -x, first=conv())
    with pytest.raises(ValueError, match=r"traceable by torch\.fx to be cut, but Lambda is not"):
        find_cuts(model, torch.randn(2, 3, 8, 8))


def test_a_skip_that_spans_everything_leaves_no_cut():
    def spanning(m, x):
        return operator.add(m.second(torch.relu(m.first(x))), x)

    model = Lambda(spanning, first=conv(), second=conv())
    with pytest.raises(ValueError, match="skip connections span the whole model"):
        find_cuts(model, torch.randn(2, 3, 8, 8))


def test_a_cut_of_another_model_is_refused():
    model, x = built("resnet8:width=2", 8)
    other = built("resnet20:width=2", 8)[0]
    with pytest.raises(ValueError, match="find its cuts anew"):
        split(model, find_cuts(other, x)[-1], example_input=x)


def test_the_halves_share_every_parameter_and_buffer_with_the_model():
    model, x = built("resnet8:width=2", 8)
    prefix, suffix = cut_in_two(model, x, 2)
    ours = {t.data_ptr() for t in model.state_dict().values()}
    theirs = {t.data_ptr() for half in (prefix, suffix) for t in half.state_dict().values()}
    assert theirs == ours


def test_training_the_suffix_trains_the_model():
    model, x = built("resnet8:width=2", 8)
    _, suffix = cut_in_two(model.eval(), x, 2)
    before = model(x)
    with torch.no_grad():
        next(reversed(list(suffix.parameters()))).add_(1.0)
    assert not torch.allclose(model(x), before)


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_restored(training):
    model, x = built("resnet8:width=2", 8)
    model.train(training)
    model.bn1.train(not training)  # one layer by itself, as a user with a frozen BatchNorm has it
    before = {name: module.training for name, module in model.named_modules()}
    prefix, suffix = cut_in_two(model, x)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert prefix.training is suffix.training is training


def test_looking_for_cuts_moves_no_statistics():
    model, x = built("resnet8:width=2", 8)
    before = {name: value.clone() for name, value in model.train().state_dict().items()}
    cut_in_two(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_modes_are_restored_when_the_model_is_refused():
    model = Lambda(lambda m, x: m.second(m.first(x)) + x, first=conv(), second=conv())
    with pytest.raises(ValueError, match="one live tensor"):
        find_cuts(model.train(), torch.randn(2, 3, 8, 8))
    assert model.training


def dropped(x, training):
    return nn.functional.dropout(x, 0.5, training)


@pytest.mark.parametrize(
    "inside",
    [
        lambda m, x: nn.functional.dropout(x, 0.5, training=m.training),
        lambda m, x: nn.functional.dropout(x, 0.5, m.training),
        lambda m, x: dropped(x, m.training),
        lambda m, x: m.first(x) if m.training else x,
        lambda m, x: x * (2.0 if m.training else 1.0),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_mode_that_tracing_would_fix_is_refused(inside, training):
    def forward(m, x):
        return m.last(inside(m, torch.relu(m.first(x)))).flatten(1)

    model = Lambda(forward, first=conv(), last=conv()).train(training)
    with pytest.raises(ValueError, match=r"use nn\.Dropout"):
        find_cuts(model, torch.randn(2, 3, 8, 8))
    assert model.training is model.first.training is training


def test_a_constant_that_the_model_makes_is_kept_by_the_half_that_uses_it():
    def forward(m, x):
        x = torch.relu(m.first(x)) * torch.tensor(2.0)
        return m.last(x + torch.ones(1)).flatten(1)

    model = Lambda(forward, first=conv(), last=conv())
    before = set(vars(model))
    prefix, suffix = cut_in_two(model, torch.randn(2, 3, 8, 8))
    assert len(dict(prefix.named_buffers())) + len(dict(suffix.named_buffers())) == 2
    assert set(vars(model)) == before


def test_stochastic_depth_acts_in_a_suffix_that_trains():
    model = get_model("torchvision/convnext_tiny", in_channels=3, num_classes=2).eval()
    x = torch.randn(2, 3, 32, 32)
    _, suffix = split(model, find_cuts(model, x)[1], example_input=x)
    drops = [m for m in suffix.modules() if type(m).__name__ == "StochasticDepth"]
    assert drops
    suffix.train()
    assert all(m.training for m in drops)
