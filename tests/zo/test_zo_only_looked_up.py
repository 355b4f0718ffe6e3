import copy
from contextlib import nullcontext

import pytest
import torch
from test_zo_lookups import POOL, Encoder, built, flat, task
from torch import nn

import zo


class Scaled(nn.Embedding):
    def forward(self, ids):
        return 8 * super().forward(ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "rademacher"}, "the source is periodic"),
        ({"scope": "per_tensor"}, "scope == 'global'"),
        ({"restore": "delta"}, "restore in"),
        ({"restore": "fixed"}, "restore in"),
        ({"lookups": [nn.Linear(2, 2)]}, "its own forward"),
        ({"lookups": [Scaled(2, 2)]}, "its own forward"),
        ({"lookups": [nn.Embedding(2, 2)]}, "is trained"),
        ({"lookups": [nn.Embedding(2, 2, max_norm=1.0)]}, "max_norm=None"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(change, message):
    model = Encoder()
    options = {"lr": 0.1, "source": POOL, "lookups": model.embeddings} | change
    with pytest.raises(ValueError, match=message):
        zo.ZO(model, **options)
    assert not any(one._forward_hooks for one in model.embeddings)


def test_another_owner_of_a_table_is_refused():
    model = Encoder()
    with pytest.raises(ValueError, match=r"one that also \(Embedding\) owns"):
        zo.ZO(model, lr=0.1, source=POOL, lookups=[model.words])
    model.tied = nn.Linear(8, 50, bias=False)
    model.tied.weight = model.words.weight
    with pytest.raises(ValueError, match=r"one that tied \(Linear\) owns"):
        zo.ZO(model, lr=0.1, source=POOL, lookups=model.embeddings)


TIED_USES = {
    "product": lambda table, x: (x @ table.T).mean(),
    "linear": lambda table, x: nn.functional.linear(x, table).mean(),
    "embedding": lambda table, x: nn.functional.embedding(torch.tensor([1]), table).mean(),
    "norm": lambda table, x: table.data.norm(),
    "part": lambda table, x: table.narrow(0, 3, 2).mean(),
    "row": lambda table, x: table[3].sum(),
    "list": lambda table, x: torch.cat([table.flatten(), x.flatten()]).mean(),
    "number": lambda table, x: table.detach()[3, 1].item(),
    "write": lambda table, x: table.detach().zero_().mean(),
}


@pytest.mark.parametrize("use", TIED_USES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_tied_use_is_caught_in_the_first_closure(use, whole):
    model = Encoder()
    before = flat(model)
    params = model if whole else list(model.parameters())
    optimizer = zo.ZO(params, lr=0.1, source=POOL, lookups=model.embeddings)
    x, loss = torch.ones(2, 8), task(model)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"only read by looking rows up.* leave this"):
            optimizer.step(lambda: loss() + TIED_USES[use](model.words.weight, x))
    assert optimizer.steps == 0
    torch.testing.assert_close(flat(model), before, rtol=0, atol=1e-7)


def test_a_view_that_was_made_before_is_caught_as_well():
    model = Encoder()
    optimizer, part, loss = built(model), model.words.weight.detach()[3:5], task(model)
    with pytest.raises(ValueError, match="only read by looking rows up"):
        optimizer.step(lambda: loss() + part.mean())


def test_asking_for_a_tables_kind_is_no_use():
    model = Encoder()
    optimizer = built(model)

    def closure():
        table = model.words.weight
        like = torch.zeros(3).to(table).to(table.device, table.dtype) + table.new_zeros(3)
        model.zero_grad()
        assert table.is_contiguous()
        assert table.T.shape == (8, table.size(0))
        return task(model)() + like.sum() + torch.zeros_like(table).sum()

    optimizer.step(closure)
    assert optimizer.steps == 1


class Fused(nn.Module):
    """An embedding before a layer that torch runs as one operator where nobody looks on."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

    def forward(self, ids):
        return self.layer(self.words(ids)).square().mean()


def first_losses(model, ids):
    losses = []
    optimizer = zo.ZO(model.parameters(), lr=0.1, source=POOL, lookups=[model.words])
    optimizer.step(lambda: losses.append(model(ids)) or losses[-1])
    return losses


def test_a_watched_loss_is_the_same_to_the_bit(monkeypatch):
    model, ids = Fused().eval(), torch.arange(12).view(3, 4)
    twin = copy.deepcopy(model)
    watched = first_losses(model, ids)
    monkeypatch.setattr(zo.optimizer, "only_looked_up", lambda _: nullcontext())
    assert watched == first_losses(twin, ids)


def test_after_the_first_closure_nothing_watches():
    model = Encoder()
    optimizer = built(model)
    optimizer.step(task(model))
    assert [len(one._forward_hooks) for one in model.embeddings] == [1, 1, 1]
    assert not any(one._forward_pre_hooks for one in model.embeddings)
