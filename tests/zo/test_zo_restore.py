import copy

import pytest
import torch
from test_zo_optimizer import flat, mlp

import zo

SOURCES = ["gaussian", "pool:size=31", "lfsr_bank:num_rngs=7,bits=5"]
MODES = ["lazy", "eager", "master", "delta", "fixed"]


def trained(mode, source, steps=60, **options):
    module = mlp().to(options.pop("dtype", torch.float64))
    optimizer = zo.ZO(module, source=source, restore=mode, **({"lr": 0.05} | options))
    closure = task(module)
    for _ in range(steps):
        optimizer.step(lambda: closure())
    optimizer.flush()
    return flat(module)


def task(module, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 8, generator=generator).to(module[0].weight.dtype)
    y = torch.randint(0, 3, (32,), generator=generator)
    return lambda: torch.nn.functional.cross_entropy(module(x).float(), y)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.5}, {"momentum": 0.8, "weight_decay": 0.1, "queries": 2}]
)
def test_all_modes_are_the_same_algorithm(source, mode, options):
    if mode == "fixed" and options:
        options = {**options, "weight_decay": 0.0}
    torch.testing.assert_close(
        trained(mode, source, **options),
        trained("lazy", source, **options),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("mode", ["master", "delta"])
@pytest.mark.parametrize("source", SOURCES)
def test_exact_modes_do_not_drift(source, mode, dtype):
    module = mlp().to(dtype)
    before = flat(module)
    optimizer = zo.ZO(module, lr=0.0, source=source, restore=mode)
    closure = task(module)
    for _ in range(50):
        optimizer.step(closure)
    assert not torch.equal(flat(module), before)
    optimizer.flush()
    assert torch.equal(flat(module), before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("source", SOURCES)
def test_fixed_point_comes_back_to_the_bit_without_a_copy(source, dtype):
    module = mlp().to(dtype)
    before = flat(module)
    optimizer = zo.ZO(module, lr=0.0, eps=0.05, source=source, restore="fixed")
    closure = task(module)
    optimizer.step(closure)
    optimizer.flush()
    on_grid = flat(module)
    (grid,) = optimizer.walk.state_dict()["grids"]
    assert (on_grid.double() - before.double()).abs().max() <= grid / 2
    assert torch.equal((on_grid.double() / grid).round() * grid, on_grid.double())
    for _ in range(50):
        optimizer.step(closure)
    assert not torch.equal(flat(module), on_grid)
    optimizer.flush()
    assert torch.equal(flat(module), on_grid)


def test_fixed_point_refuses_what_its_grid_cannot_hold():
    module = mlp().to(torch.bfloat16)
    with pytest.raises(ValueError, match="no finer than the weights' grid"):
        zo.ZO(module, lr=0.1, eps=1e-5, source="gaussian", restore="fixed").step(task(module))
    with pytest.raises(ValueError, match="no weight decay"):
        zo.ZO(module, lr=0.1, source="gaussian", restore="fixed", weight_decay=0.1)


def test_fixed_point_weights_that_outgrow_their_grid_are_noticed():
    module = torch.nn.Linear(8, 1, bias=False)
    torch.nn.init.ones_(module.weight)
    optimizer = zo.ZO(module, lr=0.5, source="rademacher", restore="fixed")

    def grow():
        for _ in range(1000):
            optimizer.step(lambda: -module.weight.square().sum())

    with pytest.raises(ValueError, match="stay within 4"):
        grow()


@pytest.mark.parametrize("mode", ["master", "delta", "fixed"])
def test_half_precision_learns_steps_below_its_resolution(mode):
    # eps must move a bfloat16 weight, but a thousand steps of 1e-5 each must not get lost.
    module = torch.nn.Linear(8, 1, bias=False).to(torch.bfloat16)
    torch.nn.init.ones_(module.weight)
    optimizer = zo.ZO(module, lr=1e-4, eps=0.05, source="pool:size=31", restore=mode, momentum=0.5)
    x = torch.ones(1, 8, dtype=torch.bfloat16)
    for _ in range(1000):
        optimizer.step(lambda: module.weight.float().square().sum() + 0 * module(x).float().sum())
    optimizer.flush()
    assert module.weight.float().square().sum() < 7.0


def test_a_delta_checkpoint_is_the_period_not_the_weights():
    module = torch.nn.Linear(100, 100)
    start = copy.deepcopy(module.state_dict())
    x = torch.ones(4, 100)
    optimizer = zo.ZO(module, lr=1e-3, source="pool:size=31", restore="delta")
    for _ in range(20):
        optimizer.step(lambda: module(x).square().mean())
    state = copy.deepcopy(optimizer.state_dict())
    (slots,) = state["zo"]["walk"]["slots"]
    assert sum(kept.numel() for kept in slots.values()) == 31

    other = torch.nn.Linear(100, 100)
    other.load_state_dict(start)
    resumed = zo.ZO(other, lr=1e-3, source="pool:size=31", restore="delta")
    resumed.load_state_dict(state)
    resumed.flush()
    assert torch.equal(flat(other), flat(module))
    for trainee, parent in ((optimizer, module), (resumed, other)):
        trainee.step(lambda parent=parent: parent(x).square().mean())
        trainee.flush()
    assert torch.equal(flat(other), flat(module))


CHECKPOINTS = [(mode, torch.float32) for mode in MODES]
CHECKPOINTS += [(mode, torch.bfloat16) for mode in ("master", "delta", "fixed")]


@pytest.mark.parametrize(("mode", "dtype"), CHECKPOINTS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_checkpoint_in_memory_continues_bit_for_bit(mode, dtype, source):
    options = {
        "lr": 0.05,
        "eps": 0.02,
        "momentum": 0.9,
        "beta2": 0.9,
        "restore": mode,
        "source": source,
    }
    module = mlp().to(dtype)
    start = copy.deepcopy(module.state_dict())
    optimizer = zo.ZO(module, **options)
    for _ in range(6):
        optimizer.step(task(module))
    state = optimizer.state_dict()
    saved = start if mode == "delta" else copy.deepcopy(module.state_dict())
    for _ in range(6):
        optimizer.step(task(module))
    optimizer.flush()

    other = mlp(seed=5).to(dtype)
    other.load_state_dict(saved)
    resumed = zo.ZO(other, **options)
    resumed.load_state_dict(state)
    for _ in range(6):
        resumed.step(task(other))
    resumed.flush()
    assert torch.equal(flat(other), flat(module))
