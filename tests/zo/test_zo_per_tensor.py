import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_zo_optimizer import flat, mlp

import zo
from zo.scaling import expected_norm

PERIODIC = ["pool:size=31", "pool:size=31,indexing=per_tensor", "lfsr_bank:num_rngs=7,bits=5"]
SOURCES = [*PERIODIC, "gaussian", "rademacher", "mezo_gaussian"]


def moved(module, optimizer):
    """Return what the first look adds to each parameter."""
    before = [p.detach().clone() for p in module.parameters()]
    seen = []

    def closure():
        seen.append([(p - b).flatten() for p, b in zip(module.parameters(), before, strict=True)])
        return 0.0

    optimizer.step(closure)
    return seen[0]


def task(module):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(32, 8, generator=generator, dtype=module[0].weight.dtype)
    y = torch.randint(0, 3, (32,), generator=generator)
    return lambda: torch.nn.functional.cross_entropy(module(x), y)


@pytest.mark.parametrize("source", PERIODIC)
@given(widths=st.lists(st.integers(1, 90), min_size=1, max_size=5))
def test_each_tensor_moves_as_far_as_a_gaussian_vector(source, widths):
    module = torch.nn.ParameterList(torch.zeros(w, dtype=torch.float64) for w in [40, *widths])
    optimizer = zo.ZO(module, lr=0, eps=0.5, source=source, scope="per_tensor")
    for numbers in moved(module, optimizer):
        if not numbers.any():  # a bank's code may be zero, and so a tensor of one number
            assert numbers.numel() < 3
            continue
        assert float(numbers.norm()) == pytest.approx(0.5 * expected_norm(numbers.numel()))


@pytest.mark.parametrize("source", SOURCES)
def test_it_is_the_global_perturbation_but_for_one_factor_per_tensor(source):
    looks = []
    for scope in ("global", "per_tensor"):
        module = mlp().double()
        optimizer = zo.ZO(module, lr=0, eps=0.5, source=source, scaling="pow2", scope=scope)
        looks.append(moved(module, optimizer))
    for whole, own in zip(*looks, strict=True):
        factor = float(own @ whole / (whole @ whole))
        torch.testing.assert_close(own, factor * whole)
        assert math.log2(factor) == pytest.approx(round(math.log2(factor)))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("restore", ["eager", "master", "delta", "fixed"])
def test_all_restore_modes_know_it(source, restore):
    ends = []
    for mode in ("lazy", restore):
        module = mlp().double()
        options = {"source": source, "momentum": 0.8, "queries": 2, "scope": "per_tensor"}
        optimizer = zo.ZO(module, lr=0.05, restore=mode, **options)
        for _ in range(30):
            optimizer.step(task(module))
        optimizer.flush()
        ends.append(flat(module))
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)


def test_the_equivalent_step_counts_the_whole_perturbation():
    module = torch.nn.ParameterList([torch.zeros(1000), torch.zeros(3000)])
    options = {"lr": 0.1, "source": "pool:size=31", "scope": "per_tensor"}
    assert zo.ZO(module, **options).lr_equiv == pytest.approx(0.1)
    optimizer = zo.ZO(module, scaling=3.0, **options)
    norm = math.hypot(*(float(numbers.norm()) for numbers in moved(module, optimizer)))
    ratio = norm / (optimizer.eps * expected_norm(4000))
    assert optimizer.eps_equiv == pytest.approx(optimizer.eps * ratio, rel=2e-3)


def test_a_checkpoint_of_the_other_scope_is_refused():
    module = mlp()
    state = copy.deepcopy(zo.ZO(module, lr=0.1, source="pool:size=31").state_dict())
    other = zo.ZO(module, lr=0.1, source="pool:size=31", scope="per_tensor")
    with pytest.raises(ValueError, match="scope"):
        other.load_state_dict(state)
    with pytest.raises(ValueError, match="per_tensor"):
        zo.ZO(module, lr=0.1, source="pool:size=31", scope="tensor")
