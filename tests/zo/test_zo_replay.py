import io

import pytest
import torch
from test_zo_optimizer import flat, mlp, task

import zo

SOURCES = ["gaussian", "pool:size=127", "lfsr_bank:num_rngs=7,bits=5"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sides": 1},
        {"queries": 2},
        {"restore": "eager"},
        {"restore": "master"},
        {"restore": "delta"},
        {"weight_decay": 0.1},
        {"momentum": 0.9, "beta2": 0.9, "clip": 1.0, "weight_decay": 0.1},
        {"momentum": 0.9, "restore": "delta", "queries": 2},
    ],
)
def test_replay_is_bit_exact(source, options):
    module = mlp()
    optimizer = zo.ZO(module, lr=0.05, source=source, **options)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step in range(12):
        optimizer.step(task(module))
        scheduler.step()
        if step % 5 == 4:
            optimizer.flush()
    optimizer.flush()

    again = mlp()
    fresh = zo.ZO(again, lr=0.3, source=source, **options)
    optimizer.log.replay(fresh)
    assert torch.equal(flat(module), flat(again))
    assert fresh.log.slopes == optimizer.log.slopes


def test_a_log_is_four_bytes_per_perturbation_and_survives_torch_save():
    module = mlp()
    optimizer = zo.ZO(module, lr=0.05, source="pool:size=127", queries=2)
    for _ in range(10):
        optimizer.step(task(module))
    assert optimizer.log.slopes.itemsize * len(optimizer.log.slopes) == 80
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert zo.ScalarLog.from_state_dict(state["zo"]["log"]) == optimizer.log


def test_a_replay_begins_at_step_zero():
    module = mlp()
    optimizer = zo.ZO(module, lr=0.05, source="pool:size=127")
    optimizer.step(task(module))
    with pytest.raises(ValueError, match="begins at step 0"):
        optimizer.log.replay(optimizer)
