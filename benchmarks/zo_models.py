"""Two language models by their shapes, with random weights: only their time is of interest."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """A sentence encoder of 22,713,216 weights: 6 layers of width 384 (the MiniLM-L6 shape)."""

    vocabulary = 30522

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(self.vocabulary, 384)
        self.positions, self.types = nn.Embedding(512, 384), nn.Embedding(2, 384)
        self.norm = nn.LayerNorm(384)
        layer = nn.TransformerEncoderLayer(
            384, 12, 1536, dropout=0.0, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.pooler = nn.Linear(384, 384)

    @property
    def lookups(self) -> list[nn.Embedding]:
        """Tables of which a batch reads few rows; of the two types every token reads one."""
        return [self.words, self.positions]

    def forward(self, tokens: Tensor) -> Tensor:
        """Return sentence vectors of shape ``(batch, 384)`` for ``(batch, length)`` tokens."""
        places = torch.arange(tokens.shape[1])
        x = self.words(tokens) + self.positions(places) + self.types(torch.zeros_like(tokens))
        return torch.tanh(self.pooler(self.layers(self.norm(x))[:, 0]))


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.o = nn.Linear(576, 576, bias=False), nn.Linear(576, 576, bias=False)
        self.k, self.v = nn.Linear(576, 192, bias=False), nn.Linear(576, 192, bias=False)
        self.gate, self.up = nn.Linear(576, 1536, bias=False), nn.Linear(576, 1536, bias=False)
        self.down = nn.Linear(1536, 576, bias=False)
        self.before, self.between = nn.RMSNorm(576), nn.RMSNorm(576)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        y = self.before(x)
        q = self.q(y).view(batch, length, 9, 64).transpose(1, 2)
        k, v = (
            part(y).view(batch, length, 3, 64).transpose(1, 2).repeat_interleave(3, 1)
            for part in (self.k, self.v)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, 576))
        y = self.between(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class CausalLM(nn.Module):
    """A causal language model of 134,515,008 weights: 30 layers of width 576 (SmolLM2-135M).

    Rotary positions are left out: they have no weights and next to no cost.
    """

    vocabulary = 49152
    lookups: tuple[nn.Embedding, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(self.vocabulary, 576)
        self.layers = nn.Sequential(*(_Layer() for _ in range(30)))
        self.norm = nn.RMSNorm(576)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the last token, shape ``(batch, vocabulary)``."""
        last = self.norm(self.layers(self.words(tokens)))[:, -1]
        return last @ self.words.weight.T


def loss_of(model: nn.Module, *, batch: int, length: int = 32) -> "object":
    """Return a closure with the mean square output on a fixed batch of random tokens."""
    tokens = torch.randint(0, model.vocabulary, (batch, length))  # type: ignore[arg-type]
    return lambda: model(tokens).square().mean()


MODELS = {"encoder 22.7M": Encoder, "causal LM 134.5M": CausalLM}
