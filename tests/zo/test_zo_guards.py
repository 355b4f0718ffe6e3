import pytest
import torch
from torch import nn

import zo

POOL = "pool:size=31"


def test_half_precision_in_place_is_refused():
    with pytest.raises(ValueError, match="float32 or float64"):
        zo.ZO(nn.Linear(4, 4).to(torch.bfloat16), lr=0.1, source=POOL)


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="num_weights >= 1"):
        zo.ZO(nn.Linear(4, 4).requires_grad_(False), lr=0.1, source=POOL)


def test_scattered_weights_are_refused():
    module = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="contiguous"):
        zo.ZO(module, lr=0.1, source=POOL)


def test_a_batch_norm_in_train_mode_is_refused():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    optimizer = zo.ZO(module, lr=0.1, source=POOL)
    x = torch.randn(8, 4)
    with pytest.raises(ValueError, match="BatchNorm1d is in train mode"):
        optimizer.step(lambda: module(x).square().mean())
    module.eval()
    optimizer.step(lambda: module(x).square().mean())


def test_a_buffer_that_moves_during_a_step_is_refused():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.linear(x)

    module = Counting()
    optimizer = zo.ZO(module, lr=0.1, source=POOL)
    with pytest.raises(ValueError, match="no buffer changes"):
        optimizer.step(lambda: module(torch.ones(2, 4)).mean())


@pytest.mark.parametrize("change", ["freeze", "move", "add", "group"])
def test_changed_weights_are_refused(change):
    module = nn.Sequential(nn.Linear(4, 4))
    optimizer = zo.ZO(module, lr=0.1, source=POOL)
    law = "the weights stay those of construction"
    if change == "freeze":
        module[0].bias.requires_grad_(False)
    elif change == "move":
        module[0].bias.data = torch.zeros(4)
    elif change == "add":
        module.append(nn.Linear(4, 4))
        law = "a module keeps its parameters"
    else:
        with pytest.raises(ValueError, match=law):
            optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
        return
    with pytest.raises(ValueError, match=law):
        optimizer.step(lambda: module(torch.ones(2, 4)).mean())


@pytest.mark.parametrize("answer", ["text", torch.zeros(2), None])
def test_a_closure_must_return_one_number(answer):
    optimizer = zo.ZO(nn.Linear(4, 4), lr=0.1, source=POOL)
    with pytest.raises(ValueError, match="one number"):
        optimizer.step(lambda: answer)


def test_a_checkpoint_of_another_weight_count_is_refused():
    state = zo.ZO(nn.Linear(4, 4), lr=0.1, source=POOL).state_dict()
    with pytest.raises(ValueError, match="its own num_weights"):
        zo.ZO(nn.Linear(4, 5), lr=0.1, source=POOL).load_state_dict(state)
    with pytest.raises(ValueError, match="its own source"):
        zo.ZO(nn.Linear(4, 4), lr=0.1, source="pool:size=37").load_state_dict(state)
