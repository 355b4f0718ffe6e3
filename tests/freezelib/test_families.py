"""Models that torch.fx cannot look into, cut by what their family says of itself."""

import copy

import pytest
import torch
from torch import nn

from freezelib import families
from freezelib.cuts import blocks, find_cuts, split
from freezelib.families import register_family
from freezelib.frozen import FrozenPrefix


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))


def encoder(*, layers=3, batch_first=True, norm=True):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    return nn.TransformerEncoder(
        layer, layers, nn.LayerNorm(8) if norm else None, enable_nested_tensor=False
    )


class Sentences(nn.Module):
    """Traceable, but for the encoder inside."""

    def __init__(self, inner):
        super().__init__()
        self.embed, self.encoder, self.head = nn.Linear(5, 8), inner, nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Doubles(nn.Module):
    """As deep as its input asks for, which no tracer can see."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
        self.inner = Inner()

    def forward(self, x):
        return self.last(self.inner(torch.relu(self.first(x)))).flatten(1)


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else -self.conv(x)


def doubles_segments(model):
    return [
        ("first", model.first),
        ("relu", torch.relu),
        ("inner", model.inner),
        ("last", model.last),
        ("flat", lambda x: x.flatten(1)),
    ]


def check_every_cut(model, x):
    with torch.no_grad():
        expected = model.eval()(x)
        for cut in (cuts := find_cuts(model, x)):
            prefix, suffix = split(model, cut, example_input=x)
            maps = prefix(x)
            assert tuple(maps.shape[1:]) == cut.map_shape
            assert torch.equal(suffix(maps), expected)
            assert torch.equal(copy.deepcopy(suffix)(copy.deepcopy(prefix)(x)), expected)
    shares = [cut.prefix_mac_share for cut in cuts]
    assert shares == sorted(set(shares))
    return cuts


def test_an_encoder_is_cut_between_its_layers():
    cuts = check_every_cut(encoder(), torch.randn(2, 6, 8))
    assert [cut.node for cut in cuts] == ["layers_0", "layers_1", "layers_2"]
    assert [cut.prefix_mac_share for cut in cuts] == pytest.approx([1 / 3, 2 / 3, 1])


def test_an_encoder_inside_a_model_is_cut_too():
    model = Sentences(encoder())
    cuts = check_every_cut(model, torch.randn(2, 6, 5))
    assert [c.node for c in cuts] == [
        "embed", "encoder_layers_0", "encoder_layers_1", "encoder_norm"
    ]  # fmt: skip
    assert [c.node for c in find_cuts(model, torch.randn(2, 6, 5), at=("encoder.layers.1",))] == [
        "encoder_layers_1"
    ]
    named = {name for name, _ in model.named_parameters()}
    assert {name for block in blocks(model, cuts) for name in block} == named
    assert all(name.startswith("encoder.layers.1.") for name in blocks(model, cuts)[2])


def test_an_encoder_whose_first_dimension_is_the_token_is_kept_whole():
    model = Sentences(encoder(batch_first=False))
    assert [cut.node for cut in find_cuts(model, torch.randn(2, 6, 5))] == ["embed", "encoder"]


def test_an_encoder_that_is_called_with_a_mask_is_kept_whole():
    class Masked(Sentences):
        def forward(self, x):
            return self.head(self.encoder(self.embed(x), mask=torch.zeros(6, 6)).mean(1))

    model = Masked(encoder())
    assert [cut.node for cut in check_every_cut(model, torch.randn(2, 6, 5))] == [
        "embed", "encoder"
    ]  # fmt: skip


def test_a_model_that_cannot_be_traced_is_cut_once_it_is_registered():
    model, x = Doubles(), torch.randn(2, 3, 6, 6)
    with pytest.raises(ValueError, match="register_family"):
        find_cuts(model, x)
    register_family(Doubles, doubles_segments)
    cuts = check_every_cut(model, x)
    assert [cut.map_shape for cut in cuts] == [(4, 4, 4), (4, 4, 4), (2, 2, 2)]
    assert blocks(model, cuts)[1] == ["inner.conv.weight", "inner.conv.bias"]


def test_a_suffix_of_a_family_is_cut_again():
    register_family(Doubles, doubles_segments)
    model, x = Doubles().eval(), torch.randn(2, 3, 6, 6)
    prefix, suffix = split(model, find_cuts(model, x)[0], example_input=x)
    again = find_cuts(suffix, prefix(x).detach())
    assert [cut.map_shape for cut in again] == [(4, 4, 4), (2, 2, 2)]


def test_a_family_inside_a_family_is_taken_apart_too():
    class Tall(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = Inner(), encoder(layers=2, norm=False)

        def forward(self, x):
            return self.high(self.low(x).flatten(2).transpose(1, 2).repeat(1, 1, 2))

    def tokens(x):
        return x.flatten(2).transpose(1, 2).repeat(1, 1, 2)

    register_family(
        Tall, lambda tall: [("low", tall.low), ("tokens", tokens), ("high", tall.high)]
    )
    cuts = check_every_cut(Tall(), torch.randn(2, 4, 3, 3))
    assert [cut.node for cut in cuts] == ["low", "high_layers_0"]


def test_a_subclass_that_does_something_else_is_no_member():
    class Odd(Doubles):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    register_family(Doubles, doubles_segments)
    with pytest.raises(ValueError, match="Odd is not"):
        find_cuts(Odd(), torch.randn(2, 3, 6, 6))


def test_segments_that_are_not_the_model_are_refused():
    register_family(Doubles, lambda m: [("first", m.first), ("inner", m.inner), ("last", m.last)])
    model, x = Doubles(), torch.randn(2, 3, 6, 6)
    cut = find_cuts(model, x)[0]
    with pytest.raises(ValueError, match="are not what the model does"):
        split(model, cut, example_input=x)


def test_a_parameter_outside_of_all_segments_is_refused():
    register_family(
        Doubles, lambda m: [("first", m.first), ("rest", lambda x: m.last(m.inner(x)))]
    )
    with pytest.raises(ValueError, match=r"inner\.conv\.weight, .* belong to none"):
        find_cuts(Doubles(), torch.randn(2, 3, 6, 6))


def test_segments_of_one_name_are_refused():
    register_family(Doubles, lambda m: [("a", m.first), ("a", m.inner), ("b", m.last)])
    with pytest.raises(ValueError, match="names of their own"):
        find_cuts(Doubles(), torch.randn(2, 3, 6, 6))


def test_a_segment_may_hold_parameters_of_its_own_making():
    class Positions(nn.Module):
        def __init__(self, owner):
            super().__init__()
            self.weight = owner.positions

        def forward(self, x):
            return x + self.weight

    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = nn.Parameter(torch.randn(6, 8))
            self.encoder = encoder(layers=2, norm=False)

        def forward(self, x):
            return self.encoder(x + self.positions if x.shape[1] == 6 else x)

    register_family(Placed, lambda m: [("place", Positions(m)), ("encoder", m.encoder)])
    model, x = Placed(), torch.randn(2, 6, 8)
    cuts = check_every_cut(model, x)
    assert [cut.node for cut in cuts] == ["encoder_layers_0"]
    assert blocks(model, cuts)[0][0] == "positions"
    frozen = FrozenPrefix(split(model, cuts[0], example_input=x)[0])
    with torch.no_grad():
        model.positions.add_(1.0)
    with pytest.raises(RuntimeError, match="must not change"):
        frozen.assert_unchanged()
