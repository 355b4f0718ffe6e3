import copy
import gc
import pickle

import pytest
import torch
from torch import nn

import zo

POOL = "pool:size=127"
SOURCES = [POOL, "lfsr_bank:num_rngs=7,bits=5"]
# A period below a row, per-tensor places, one above the weights, one above a sweep's block.
ODD = ["pool:size=5", "pool:size=127,indexing=per_tensor", "pool:size=4093", "pool:size=300007"]


class Encoder(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.words, self.places = nn.Embedding(50, 8, padding_idx=0), nn.Embedding(9, 6)
        self.also = nn.Embedding(50, 8)
        self.also.weight = self.words.weight
        self.down, self.head = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, ids):
        x = self.down(self.words(ids) + self.also(ids.flip(0)))
        x = x + self.places(torch.arange(ids.shape[1], dtype=torch.int32))
        return self.head(torch.tanh(x).mean(1))

    @property
    def embeddings(self):
        return [self.words, self.places, self.also]


def task(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 50, (12, 9), generator=generator)
    labels = torch.randint(0, 3, (12,), generator=generator)
    return lambda: nn.functional.cross_entropy(model(ids), labels)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def groups_of(model):
    tables = [model.words.weight, model.places.weight]
    others = [*model.down.parameters(), *model.head.parameters()]
    return [
        {"params": [tables[0], others[0]], "lr": 0.02, "weight_decay": 0.3},
        {"params": [tables[1], *others[1:]], "lr": 0.05},
    ]


def built(model, lookups=True, groups=False, **options):
    params = groups_of(model) if groups else model
    listed = model.embeddings if lookups else ()
    return zo.ZO(params, **({"lr": 0.03, "source": POOL} | options), lookups=listed)


def trained(lookups, *, dtype=torch.float64, steps=15, **options):
    model = Encoder().to(dtype)
    optimizer = built(model, lookups, **options)
    for _ in range(steps):
        optimizer.step(task(model))
    optimizer.flush()
    return flat(model), optimizer


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.5},
        {"momentum": 0.8, "weight_decay": 0.1},
        {"groups": True, "momentum": 0.5, "beta2": 0.9},
        {"queries": 2},
        {"sides": 1, "queries": 2, "weight_decay": 0.1},
        {"restore": "eager", "weight_decay": 0.1},
    ],
)
def test_lookups_are_the_same_training_as_in_place(source, options):
    (ours, optimizer), (theirs, in_place) = (
        trained(lookups, source=source, **options) for lookups in (True, False)
    )
    assert optimizer.passes == in_place.passes
    assert (theirs - flat(Encoder().double())).abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("source", ODD)
def test_windows_of_any_period_are_the_weights_own_numbers(source):
    (ours, _), (theirs, _) = (trained(lookups, source=source) for lookups in (True, False))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_tables_of_several_precisions_and_a_shard():
    results = []
    for lookups in (True, False):
        model = Encoder()
        model.places.double()
        model.forward = lambda ids, model=model: model.head(
            torch.tanh(model.down(model.words(ids)) + model.places(ids % 9).float()).mean(1)
        )
        optimizer = built(model, lookups, shard=(1000, 5000), weight_decay=0.1)
        for _ in range(10):
            optimizer.step(task(model))
        optimizer.flush()
        results.append(flat(model))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"sides": 1}, {"momentum": 0.9, "weight_decay": 0.1}])
def test_tables_rest_until_the_weights_are_settled(options):
    model = Encoder()
    optimizer = built(model, **options)
    before = model.words.weight.clone(), model.places.weight.clone()
    for step in range(6):
        optimizer.step(task(model))
        passes = optimizer.passes
        assert torch.equal(model.words.weight, before[0])
        assert torch.equal(model.places.weight, before[1])
        assert passes == 2 * (step + 1) - (options.get("sides") == 1)
    optimizer.flush()
    assert not torch.equal(model.words.weight, before[0])
    assert not torch.equal(model.places.weight, before[1])
    passes = optimizer.passes
    optimizer.walk.settle()
    assert optimizer.passes == passes


def test_lookups_between_steps_see_what_a_table_in_place_would_hold():
    models = Encoder().double(), Encoder().double()
    optimizers = [built(model, model is models[0], eps=0.1) for model in models]
    for _ in range(3):
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.step(task(model))
    ids = torch.arange(50)
    ours, theirs = (model.words(input=ids) for model in models)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
    assert (ours - models[0].words.weight).abs().max() > 0.05
    loss = task(models[0])()  # a forward of the whole module settles
    torch.testing.assert_close(models[0].words(ids), models[0].words.weight, rtol=0, atol=0)
    assert task(models[0])().item() == loss.item()
    assert optimizers[0].walk.settled


def test_other_hooks_see_the_rows_that_are_looked_up():
    results = []
    for lookups in (True, False):
        model = Encoder().double()
        model.words.register_forward_hook(lambda _, args, rows: rows.square())
        optimizer = built(model, lookups)
        for _ in range(10):
            optimizer.step(task(model))
        optimizer.flush()
        results.append(flat(model))
    torch.testing.assert_close(*results, rtol=0, atol=1e-8)


def test_gradients_flow_through_a_lookup_that_stands_off():
    model = Encoder()
    optimizer = zo.ZO(list(model.parameters()), lr=0.03, source=POOL, lookups=model.embeddings)
    optimizer.step(task(model))
    task(model)().backward()
    assert model.words.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "weight_decay": 0.1, "sides": 1}])
def test_a_checkpoint_continues_bit_for_bit_and_loads_without_lookups(options):
    model = Encoder()
    optimizer = built(model, **options)
    for _ in range(5):
        optimizer.step(task(model))
    state = copy.deepcopy((optimizer.state_dict(), model.state_dict()))
    assert len(state[0]["zo"]["walk"]["slots"][0]) == ("momentum" in options)
    for _ in range(5):
        optimizer.step(task(model))
    optimizer.flush()
    for lookups in (True, False):
        other = Encoder(seed=7)
        resumed = built(other, lookups, **options)
        resumed.step(task(other))
        other.load_state_dict(state[1])
        resumed.load_state_dict(state[0])
        for _ in range(5):
            resumed.step(task(other))
        resumed.flush()
        assert not lookups or torch.equal(flat(other), flat(model))
        torch.testing.assert_close(flat(other), flat(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"sides": 1}, {"groups": True, "momentum": 0.9, "queries": 2}]
)
def test_a_replay_is_bit_exact(options):
    model, again = Encoder(), Encoder()
    optimizer = built(model, **options)
    for step in range(9):
        optimizer.step(task(model))
        if step == 4:
            optimizer.flush()
    optimizer.flush()
    optimizer.log.replay(built(again, **options))
    assert torch.equal(flat(again), flat(model))


@pytest.mark.parametrize("whole", [True, False])
def test_a_dropped_optimizer_settles_and_leaves_the_model_as_it_was(whole):
    left = []
    for drop in (True, False):
        model = Encoder()
        params = model if whole else list(model.parameters())
        optimizer = zo.ZO(params, lr=0.03, source=POOL, lookups=model.embeddings)
        for _ in range(3):
            optimizer.step(task(model))
        if drop:
            del optimizer
            gc.collect()
            assert not any(one._forward_hooks for one in model.embeddings)
            assert not any(one._forward_pre_hooks for one in model.embeddings)
        else:
            optimizer.flush()
        left.append(flat(model))
    assert torch.equal(*left)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_the_model_adds_nothing(copied):
    model = Encoder()
    optimizer = built(model)
    optimizer.step(task(model))
    other = copied(model)
    ids = torch.arange(50)
    assert torch.equal(other.words(ids), other.words.weight)
    assert not torch.equal(model.words(ids), model.words.weight)


def test_an_exception_in_the_closure_restores_the_weights():
    model = Encoder()
    optimizer = built(model, eps=0.5)
    optimizer.step(task(model))
    optimizer.flush()
    before = flat(model)

    def broken():
        raise RuntimeError("out of data")

    with pytest.raises(RuntimeError, match="out of data"):
        optimizer.step(broken)
    assert optimizer.walk.settled
    torch.testing.assert_close(flat(model), before, rtol=0, atol=1e-6)
