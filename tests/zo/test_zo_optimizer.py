import copy
import gc
import math

import pytest
import torch
from torch import nn

import zo

SOURCES = ["gaussian", "pool:size=127", "lfsr_bank:num_rngs=7,bits=5"]


def quadratic(num_weights=40, seed=0):
    """A module whose loss is a quadratic form with its minimum at known weights."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(num_weights, generator=generator)
    module = nn.ParameterList(
        [nn.Parameter(torch.zeros(num_weights // 2)), nn.Parameter(torch.zeros(num_weights // 2))]
    )

    def loss():
        return (torch.cat(list(module)) - target).square().mean()

    return module, loss


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def task(module, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 8, generator=generator)
    y = torch.randint(0, 3, (32,), generator=generator)
    return lambda: nn.functional.cross_entropy(module(x), y)


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sides": 1},
        {"queries": 3},
        {"restore": "eager"},
        {"restore": "master"},
        {"restore": "delta"},
        {"momentum": 0.9},
        {"clip": 0.5},
        {"beta2": 0.9, "lr": 0.02},
    ],
)
def test_a_quadratic_decreases(source, options):
    module, loss = quadratic()
    optimizer = zo.ZO(module.parameters(), **({"lr": 0.05, "source": source} | options))
    before = loss().item()
    for _ in range(200):
        optimizer.step(loss)
    optimizer.flush()
    assert loss().item() < 0.5 * before


@pytest.mark.parametrize("source", SOURCES)
def test_one_step_is_the_formula(source):
    module, loss = quadratic()
    module = module.double()
    bound = zo.get_source(source).bind(40)
    z = torch.from_numpy(bound.codes(0, 0, 40).astype("float64")) * bound.lsb
    z *= bound.exact_scale(0)
    start = flat(module) + 0.5
    losses = []
    for sign in (1, -1):
        nn.utils.vector_to_parameters(start + sign * 1e-3 * z, module.parameters())
        losses.append(loss().item())
    nn.utils.vector_to_parameters(start.clone(), module.parameters())
    optimizer = zo.ZO(module, lr=0.1, eps=1e-3, source=source, weight_decay=0.01)
    answer = optimizer.step(loss)
    optimizer.flush()
    slope = (losses[0] - losses[1]) / 2e-3
    expected = start * (1 - 0.1 * 0.01) - 0.1 * slope * z
    torch.testing.assert_close(flat(module), expected, rtol=1e-6, atol=1e-6)
    assert answer == pytest.approx(sum(losses) / 2)


@pytest.mark.parametrize("source", SOURCES)
def test_queries_average_at_the_same_weights(source):
    seen = []
    module, loss = quadratic()
    optimizer = zo.ZO(module.double(), lr=0.0, source=source, queries=2, sides=1)

    def closure():
        seen.append(flat(module))
        return loss()

    optimizer.step(closure)
    origin, first, second = seen
    assert len(seen) == 3
    for place, token in ((first, 0), (second, 1)):
        z = torch.from_numpy(optimizer.source.codes(token, 0, 40) * optimizer.source.lsb)
        scale = 1e-3 * optimizer.source.exact_scale(token)
        torch.testing.assert_close(
            (place - origin).double(), scale * z.double(), rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize(
    ("options", "passes"),
    [({}, 2), ({"restore": "eager"}, 3), ({"queries": 3}, 6), ({"sides": 1}, 2)],
)
def test_passes_over_the_weights_are_counted(options, passes):
    module, loss = quadratic()
    optimizer = zo.ZO(module, lr=0.01, source="pool:size=31", **options)
    optimizer.step(loss)
    before = optimizer.passes
    optimizer.step(loss)
    assert optimizer.passes - before == passes
    optimizer.flush()
    settled = optimizer.passes
    optimizer.flush()
    assert optimizer.passes == settled


@pytest.mark.parametrize("source", SOURCES)
def test_scaling_is_a_change_of_lr_and_eps(source):
    results = []
    for scaling, eps, lr in ((1.0, 4e-3, 0.016), (4.0, 1e-3, 0.001)):
        module, loss = quadratic()
        optimizer = zo.ZO(module.double(), lr=lr, eps=eps, source=source, scaling=scaling)
        for _ in range(50):
            optimizer.step(loss)
        optimizer.flush()
        results.append(flat(module))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sides", [1, 2])
def test_all_phases_of_a_pool_average_to_its_tied_gradient(sides):
    # The mean of z z^T over every phase of a pool is its circular autocorrelation, so the mean
    # slope times z is that matrix times the gradient.
    module, loss = quadratic()
    module = module.double()
    source = zo.Pool(31).bind(40)
    gradient = torch.autograd.grad(loss(), list(module.parameters()))
    gradient = torch.cat(gradient)
    pool = torch.from_numpy(source.codes(0, 0, 31) * source.lsb)
    lags = torch.stack([(pool * pool.roll(-lag)).mean() for lag in range(31)])
    places = torch.arange(40)
    expected = lags[(places[:, None] - places[None, :]) % 31] @ gradient

    optimizer = zo.ZO(module, lr=0.0, eps=1e-5, source=source, scaling="none", sides=sides)
    total = torch.zeros(40, dtype=torch.float64)
    for step in range(31):
        optimizer.step(loss)
        z = torch.from_numpy(source.codes(step, 0, 40) * source.lsb)
        total += optimizer.log.slopes[-1] * z
    torch.testing.assert_close(total / 31, expected, rtol=1e-4, atol=1e-5)


def test_parameter_groups_have_their_own_rates():
    module, loss = quadratic()
    groups = [{"params": [module[0]]}, {"params": [module[1]], "lr": 0.0}]
    optimizer = zo.ZO(groups, lr=0.05, source="pool:size=31")
    for _ in range(5):
        optimizer.step(loss)
    optimizer.flush()
    assert module[0].abs().max() > 1e-3
    torch.testing.assert_close(module[1], torch.zeros(20), rtol=0, atol=1e-6)


def test_schedulers_set_the_rate():
    module, loss = quadratic()
    optimizer = zo.ZO(module, lr=0.1, source="pool:size=31")
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for _ in range(3):
        optimizer.step(loss)
        scheduler.step()
    assert [rate for _, (rate,) in optimizer.log.rates] == [0.1, 0.05, 0.025]


def test_tied_weights_count_once():
    module = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    module["b"].weight = module["a"].weight
    assert zo.ZO(module, lr=0.1, source="pool:size=31").num_weights == 24
    twice = [module["a"].weight, module["b"].weight]
    assert zo.ZO(twice, lr=0.1, source="pool:size=31").num_weights == 16


def test_frozen_weights_are_left_out_and_left_alone():
    module = mlp()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    optimizer = zo.ZO(module, lr=0.1, source="gaussian")
    assert optimizer.num_weights == 51
    optimizer.step(task(module))
    assert torch.equal(module[0].weight, before)


def test_the_module_settles_itself_before_it_is_used():
    module, twin = mlp(), mlp()
    for candidate in (module, twin):
        optimizer = zo.ZO(candidate, lr=0.1, eps=0.1, source="pool:size=31")
        optimizer.step(task(candidate))
        if candidate is twin:
            optimizer.flush()
        else:
            kept = optimizer  # the hook holds no reference of its own
    x = torch.ones(1, 8)
    assert not torch.equal(flat(module), flat(twin))
    assert torch.equal(module(x), twin(x))
    assert torch.equal(flat(module), flat(twin))
    kept.step(task(module))
    assert torch.equal(module.state_dict()["0.weight"], module[0].weight)
    assert kept.passes == 6


@pytest.mark.parametrize("restore", ["lazy", "delta", "fixed"])
def test_a_dropped_optimizer_leaves_settled_weights(restore):
    left = []
    for drop in (True, False):
        module = mlp()
        optimizer = zo.ZO(module, lr=0.05, source="pool:size=127", restore=restore)
        for _ in range(3):
            optimizer.step(task(module))
        if drop:
            del optimizer
            gc.collect()
        else:
            optimizer.flush()
        left.append(flat(module))
    assert torch.equal(*left)


def test_materialized_holds_the_settled_weights():
    module, loss = quadratic()
    optimizer = zo.ZO(module.parameters(), lr=0.0, eps=0.1, source="pool:size=31")
    optimizer.step(loss)
    assert flat(module).abs().max() > 0.01
    with optimizer.materialized():
        assert flat(module).abs().max() < 1e-6


def test_an_exception_in_the_closure_restores_the_weights():
    module, loss = quadratic()
    optimizer = zo.ZO(module, lr=0.1, eps=0.5, source="pool:size=31")

    def broken():
        raise RuntimeError("out of data")

    with pytest.raises(RuntimeError, match="out of data"):
        optimizer.step(broken)
    assert flat(module).abs().max() < 1e-6
    assert optimizer.steps == 0
    optimizer.step(loss)


def test_reports():
    module, _ = quadratic()
    optimizer = zo.ZO(module, lr=0.5, source="pool:size=31,bits=3", scaling="none")
    assert optimizer.distinct_directions == 31
    assert optimizer.reuse_factor == pytest.approx(40 / 31)
    assert optimizer.lr_equiv == pytest.approx(0.5 / optimizer.source.exact_scale(0) ** 2)
    assert optimizer.eps_equiv == pytest.approx(1e-3 / optimizer.source.exact_scale(0))


@pytest.mark.parametrize("source", SOURCES)
def test_shards_do_what_the_whole_does(source):
    (whole, loss), (parts, loss_of_parts) = quadratic(), quadratic()
    optimizer = zo.ZO(whole, lr=0.05, source=source)
    shards = [
        zo.ZO([part], lr=0.05, source=source, shard=(20 * rank, 40))
        for rank, part in enumerate(parts)
    ]
    for _ in range(10):
        losses = []
        optimizer.step(lambda losses=losses: losses.append(loss().item()) or losses[-1])
        for shard in shards:
            replies = iter(losses)
            shard.step(lambda replies=replies: next(replies))
    for trainee in (optimizer, *shards):
        trainee.flush()
    assert torch.equal(flat(whole), flat(parts))
    assert loss_of_parts().item() == loss().item()
    with pytest.raises(ValueError, match="weights held <= total"):
        zo.ZO(parts, lr=0.05, source=source, shard=(10, 40))


def test_micro_batches_average_within_the_closure():
    module, twin = mlp(), mlp()
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))

    def loss(model, part=slice(None)):
        return nn.functional.cross_entropy(model(x[part]), y[part])

    halves = (slice(0, 16), slice(16, 32))
    optimizers = [zo.ZO(model, lr=0.05, source="pool:size=31") for model in (module, twin)]
    optimizers[0].step(lambda: loss(module))
    optimizers[1].step(lambda: sum(loss(twin, half) for half in halves) / 2)
    for optimizer in optimizers:
        optimizer.flush()
    torch.testing.assert_close(flat(module), flat(twin), rtol=1e-3, atol=1e-4)


def test_seeds_begin_elsewhere_in_the_sequence():
    slopes = []
    for seed in (0, 1, 2):
        module, loss = quadratic()
        optimizer = zo.ZO(module, lr=0.0, source="pool:size=127", seed=seed)
        optimizer.step(loss)
        slopes.append(optimizer.log.slopes[0])
    assert len(set(slopes)) == 3


@pytest.mark.parametrize("source", SOURCES)
def test_float64_and_several_kinds_of_weights(source):
    module = nn.ParameterList([torch.zeros(30), torch.zeros(20, dtype=torch.float64)])

    def loss():
        return module[0].sub(1).square().sum() + module[1].sub(1).square().sum()

    optimizer = zo.ZO(module, lr=1e-3, source=source)
    before = loss().item()
    for _ in range(100):
        optimizer.step(loss)
    optimizer.flush()
    assert loss().item() < before


def test_continuing_a_checkpoint_is_the_uninterrupted_run():
    module = mlp()
    optimizer = zo.ZO(module, lr=0.05, source="lfsr_bank:num_rngs=7,bits=5", seed=3)
    for _ in range(7):
        optimizer.step(task(module))
    state = copy.deepcopy((optimizer.state_dict(), module.state_dict()))
    for _ in range(5):
        optimizer.step(task(module))
    optimizer.flush()

    other = mlp(seed=9)
    resumed = zo.ZO(other, lr=0.7, source="lfsr_bank:num_rngs=7,bits=5", seed=3)
    other.load_state_dict(state[1])
    resumed.load_state_dict(state[0])
    for _ in range(5):
        resumed.step(task(other))
    resumed.flush()
    assert torch.equal(flat(module), flat(other))
    assert resumed.log == optimizer.log
    assert resumed.param_groups[0]["lr"] == 0.05


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_refused_and_undone(value):
    module, _ = quadratic()
    optimizer = zo.ZO(module, lr=0.1, eps=0.5, source="pool:size=31")
    with pytest.raises(zo.DivergedError, match="losses and slopes are finite"):
        optimizer.step(lambda: value)
    assert flat(module).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -1.0}, "lr >= 0"),
        ({"eps": 0.0}, "0 < eps"),
        ({"sides": 3}, "sides in"),
        ({"queries": 0}, "queries >= 1"),
        ({"scaling": "pow3"}, "scaling in"),
        ({"restore": "never"}, "restore"),
        ({"source": "pool:size=40,repair=false"}, "more than one distinct direction"),
        ({"weight_decay": -1.0}, "weight_decay >= 0"),
        ({"seed": -1}, "seed >= 0"),
        ({"momentum": 1.0}, "0 <= momentum < 1"),
        ({"clip": 0.0}, "clip > 0"),
        ({"beta2": 1.0}, "beta2 < 1"),
    ],
)
def test_bad_arguments(change, message):
    module, _ = quadratic()
    with pytest.raises(ValueError, match=message):
        zo.ZO(module, **({"lr": 0.1, "source": "pool:size=31"} | change))
