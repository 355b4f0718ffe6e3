import copy

import pytest
import torch
from torch import nn

import zo
from zo.correlation import correlate, fast_length, fold, spectrum

SOURCES = ["pool:size=31", "pool:size=509,bits=4", "lfsr_bank:num_rngs=7,bits=5"]


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(12, 40),
        nn.Tanh(),
        nn.Sequential(nn.Linear(40, 24, bias=False), nn.LayerNorm(24)),
        nn.Linear(24, 3),
    ).double()


def batch():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(16, 12, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (16,), generator=generator)
    return x, lambda output: nn.functional.cross_entropy(output, y)


@pytest.mark.parametrize("period", [3, 31, 100])
@pytest.mark.parametrize("n_in", [1, 7, 31, 95])
def test_a_correlation_is_the_product_with_the_periodic_matrix(period, n_in):
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(2, period, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, n_in, generator=generator, dtype=torch.float64)
    offset, n_out = 17, 11
    matrix = rows[:, (offset + torch.arange(n_out * n_in)) % period].view(2, n_out, n_in)
    folded = fold(x, period)
    places = (offset + torch.arange(n_out) * n_in) % period
    got = correlate(folded, spectrum(rows, folded.shape[-1]), places)
    torch.testing.assert_close(got, x @ matrix.transpose(1, 2))


def test_fast_lengths():
    assert [fast_length(n) for n in (1, 7, 11, 4668)] == [2, 8, 12, 4800]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("correlate_from", [0, 10**9, None])
def test_the_adapter_is_the_run_in_place(source, correlate_from):
    x, loss = batch()
    trained, adapted = model(), model()
    optimizer = zo.ZO(trained, lr=1e-2, source=source)
    adapter = zo.Adapter(adapted, lr=1e-2, source=source, correlate_from=correlate_from)
    for _ in range(150):
        here = optimizer.step(lambda: loss(trained(x)))
        there = adapter.step(x, loss)
    assert here == pytest.approx(there, rel=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(adapted(x), trained(x), rtol=1e-4, atol=1e-5)


def test_forms_are_measured_once_per_size_and_kept_in_checkpoints():
    torch.manual_seed(1)
    layers = [nn.Linear(6, 40), *(nn.Linear(40, 40, bias=False) for _ in range(3))]
    adapter = zo.Adapter(nn.Sequential(*layers), lr=1e-3, source="pool:size=31")
    x = torch.randn(5, 6)
    for _ in range(3):
        adapter.step(x, lambda output: output.square().mean())
    assert set(adapter.forms) == {(6, 40, 2, 8), (40, 40, 2, 8)}
    assert set(adapter.forms.values()) <= {"correlation", "sum"}
    other = zo.Adapter(copy.deepcopy(nn.Sequential(*layers)), lr=1e-3, source="pool:size=31")
    other.load_state_dict(adapter.state_dict())
    assert other.forms == adapter.forms


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_a_layer_may_be_frozen_in_part(frozen):
    x, loss = batch()
    trained, adapted = model(), model()
    for each in (trained, adapted):
        getattr(each[3], frozen).requires_grad_(False)
    optimizer = zo.ZO(trained, lr=1e-2, source="pool:size=31")
    adapter = zo.Adapter(adapted, lr=1e-2, source="pool:size=31")
    for _ in range(20):
        here = optimizer.step(lambda: loss(trained(x)))
        there = adapter.step(x, loss)
    assert here == pytest.approx(there, rel=1e-6)


def test_embeddings_look_up_their_part():
    torch.manual_seed(1)
    trained = nn.Sequential(nn.Embedding(50, 6), nn.Flatten(), nn.Linear(24, 2)).double()
    adapted = copy.deepcopy(trained)
    tokens = torch.randint(0, 50, (8, 4))
    options = {"lr": 1e-2, "source": "pool:size=31"}
    optimizer, adapter = zo.ZO(trained, **options), zo.Adapter(adapted, **options)
    for _ in range(50):
        optimizer.step(lambda: trained(tokens).square().mean())
        adapter.step(tokens, lambda output: output.square().mean())
    with torch.no_grad():
        torch.testing.assert_close(adapted(tokens), trained(tokens), rtol=1e-5, atol=1e-6)


def test_the_base_is_never_written_and_merging_exports_it():
    x, loss = batch()
    adapted = model()
    before = copy.deepcopy(adapted.state_dict())
    adapter = zo.Adapter(adapted, lr=1e-2, source="pool:size=31")
    for _ in range(30):
        adapter.step(x, loss)
    now = [p.detach() for p in adapted.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(now, before.values(), strict=True))
    with torch.no_grad():
        output = adapted(x)
        adapter.merge()
        torch.testing.assert_close(adapted(x), output)
        plain = model()
        nn.utils.vector_to_parameters(
            torch.cat([p.flatten() for p in adapted.parameters()]), plain.parameters()
        )
        torch.testing.assert_close(plain(x), output)


def test_training_over_an_8_bit_base():
    x, loss = batch()
    quantised = zo.quantise(model())
    plain = model()
    with torch.no_grad():
        torch.testing.assert_close(quantised(x), plain(x), atol=0.05, rtol=0.1)
    adapter = zo.Adapter(quantised, lr=1e-2, source="pool:size=509")
    assert adapter.num_weights == sum(p.numel() for p in plain.parameters())
    first = adapter.step(x, loss)
    for _ in range(150):
        last = adapter.step(x, loss)
    assert last < 0.9 * first
    with pytest.raises(ValueError, match="8-bit"):
        adapter.merge()


def test_a_checkpoint_is_one_row():
    x, loss = batch()
    adapter = zo.Adapter(model(), lr=1e-2, source="pool:size=31")
    for _ in range(5):
        adapter.step(x, loss)
    state = copy.deepcopy(adapter.state_dict())
    assert state["delta"].shape == (31,)
    other = zo.Adapter(model(), lr=1e-2, source="pool:size=31")
    other.load_state_dict(state)
    assert adapter.step(x, loss) == other.step(x, loss)
    with pytest.raises(ValueError, match="its own source"):
        zo.Adapter(model(), lr=1e-2, source="pool:size=37").load_state_dict(state)


def test_refusals():
    x, _ = batch()
    with pytest.raises(ValueError, match="periodic"):
        zo.Adapter(model(), lr=1e-2, source="gaussian")
    with pytest.raises(ValueError, match="keeps its weights in its layers"):
        zo.Adapter(nn.Linear(12, 3), lr=1e-2, source="pool:size=31")
    adapted = model()
    adapter = zo.Adapter(adapted, lr=1e-2, source="pool:size=31")
    before = adapted(x)
    with pytest.raises(zo.DivergedError):
        adapter.step(x, lambda output: torch.tensor(float("nan")))
    assert torch.equal(adapted(x), before)
