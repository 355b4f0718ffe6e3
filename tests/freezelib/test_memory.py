import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.memory import peak_memory_bytes

NUMBERS = 1000
ONE = 4 * NUMBERS  # bytes of one tensor of these


@pytest.fixture
def x():
    return torch.ones(NUMBERS)


def test_doing_nothing_takes_nothing():
    assert peak_memory_bytes(lambda: None) == 0


@settings(max_examples=20)
@given(steps=st.integers(1, 30))
def test_a_chain_of_additions_holds_two_links_at_a_time(steps):
    def chain():
        y = torch.ones(NUMBERS)
        for _ in range(steps):
            y = y + 1

    assert peak_memory_bytes(chain) == 2 * ONE


@settings(max_examples=20)
@given(steps=st.integers(1, 30))
def test_what_is_kept_adds_up(steps):
    x = torch.ones(NUMBERS)

    def keep():
        return [x + i for i in range(steps)]

    assert peak_memory_bytes(keep) == steps * ONE


def test_what_was_there_before_is_not_counted(x):
    assert peak_memory_bytes(lambda: x.add_(1)) == 0
    assert peak_memory_bytes(lambda: x + 1) == ONE


def test_in_place_operations_add_nothing(x):
    def in_place():
        y = x + 1
        y.add_(1).mul_(2).relu_()
        torch.add(y, 1, out=y)

    assert peak_memory_bytes(in_place) == ONE


def test_views_add_nothing(x):
    def views():
        y = x + 1
        return y.view(10, 100).t(), y[::2], y.expand(50, NUMBERS), y.detach(), x[3:]

    assert peak_memory_bytes(views) == ONE


def test_a_view_keeps_the_whole_storage_alive(x):
    def small_view_of_a_large_tensor():
        part = (x + 1)[:1]
        return part, x + 2

    assert peak_memory_bytes(small_view_of_a_large_tensor) == 2 * ONE


def test_the_peak_is_not_the_end(x):
    def bulge():
        wide = x.repeat(5)
        del wide
        return x + 1

    assert peak_memory_bytes(bulge) == 5 * ONE


def test_what_came_one_after_the_other_is_not_added_up(x):
    def in_turn():
        for _ in range(10):
            (x + 1).sum()

    assert peak_memory_bytes(in_turn) == ONE + 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.uint8])
def test_bytes_follow_the_type(dtype):
    size = torch.empty(0, dtype=dtype).element_size()
    assert peak_memory_bytes(lambda: torch.zeros(NUMBERS, dtype=dtype)) == size * NUMBERS


def layers(depth):
    pairs = [(nn.Linear(50, 50), nn.Tanh()) for _ in range(depth)]
    return nn.Sequential(*itertools.chain(*pairs))


def forward_only(network, x):
    with torch.no_grad():
        network(x)


def backprop(network, x):
    network(x).sum().backward()


def test_backprop_takes_more_than_forward_only():
    x = torch.randn(64, 50)
    assert peak_memory_bytes(lambda: backprop(layers(4), x)) > peak_memory_bytes(
        lambda: forward_only(layers(4), x)
    )


def test_forward_only_does_not_grow_with_depth_and_backprop_does():
    x, activation = torch.randn(640, 50), 4 * 640 * 50
    shallow, deep = layers(2), layers(6)
    assert peak_memory_bytes(lambda: forward_only(shallow, x)) == 2 * activation
    assert peak_memory_bytes(lambda: forward_only(deep, x)) == 2 * activation
    more = peak_memory_bytes(lambda: backprop(deep, x)) - peak_memory_bytes(
        lambda: backprop(shallow, x)
    )
    assert more >= 4 * activation


def test_the_first_step_counts_the_state_of_the_optimizer():
    network, x = layers(3), torch.randn(2, 50)
    weights = sum(p.nbytes for p in network.parameters())

    def step(optimizer):
        backprop(network, x)
        optimizer.step()

    plain = peak_memory_bytes(lambda: step(torch.optim.SGD(network.parameters(), lr=0.1)))
    network.zero_grad()
    momentum = peak_memory_bytes(
        lambda: step(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9))
    )
    assert momentum - plain == pytest.approx(weights, rel=0.1)


def test_measuring_twice_gives_the_same():
    x, network = torch.randn(64, 50), layers(3)

    def run():
        network.zero_grad()
        backprop(network, x)

    assert len({peak_memory_bytes(run) for _ in range(3)}) == 1


def test_an_error_in_the_run_is_not_swallowed_and_leaves_nothing_behind(x):
    with pytest.raises(ZeroDivisionError):
        peak_memory_bytes(lambda: x + 1 / 0)
    assert peak_memory_bytes(lambda: x + 1) == ONE
