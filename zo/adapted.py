"""Layers that add a periodic part to weights they only read.

The periodic part of a whole model is one row of ``period`` numbers per branch. A step runs both of
its branches as one doubled batch, so that every base weight is read once for the two of them.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zo.correlation import correlate, fold, spectrum


class Rows:
    """The periodic part that all layers of a model add.

    Attributes:
        period: Numbers in a row.
        rows: One row per branch, shape ``(branches, period)``; a batch is split evenly among them.
    """

    def __init__(self, period: int, like: Tensor) -> None:
        self.period = period
        self.show(like.new_zeros(1, period))

    def show(self, rows: Tensor) -> None:
        """Have the layers add these rows from now on."""
        self.rows = rows
        self._spectra: dict[int, Tensor] = {}

    @property
    def branches(self) -> int:
        """Rows that are added at present, each to its share of the batch."""
        return self.rows.shape[0]

    def spectrum(self, reach: int) -> Tensor:
        """Return the rows' transform for folded inputs of this length, made once per ``show``."""
        if reach not in self._spectra:
            self._spectra[reach] = spectrum(self.rows, reach)
        return self._spectra[reach]

    def window(self, branch: int, offset: int, shape: torch.Size) -> Tensor:
        """Return a branch's periodic part of a tensor at a flat offset."""
        row = self.rows[branch].roll(-(offset % self.period))
        count = shape.numel()
        return row.repeat(-(-count // self.period))[:count].view(shape)


class Materialised(nn.Module):
    """Runs any module on weights plus their periodic part, one branch after the other.

    Args:
        base: The module; its parameters are only read.
        offsets: Flat offset of each of its parameters, by name.
        rows: The periodic part.
    """

    def __init__(self, base: nn.Module, offsets: dict[str, int], rows: Rows) -> None:
        super().__init__()
        self.base, self._offsets, self._shared = base, offsets, rows

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the base on each branch's share of the batch."""
        branches = self._shared.branches
        parts = []
        for branch in range(branches):
            weights = {
                name: parameter + self._shared.window(branch, self._offsets[name], parameter.shape)
                for name, parameter in self.base.named_parameters()
                if name in self._offsets
            }
            mine = [_share(arg, branch, branches) for arg in args]
            named = {key: _share(arg, branch, branches) for key, arg in kwargs.items()}
            parts.append(functional_call(self.base, weights, tuple(mine), named))
        return parts[0] if branches == 1 else torch.cat(parts)


def _share(value: Any, branch: int, branches: int) -> Any:
    return value.chunk(branches)[branch] if isinstance(value, Tensor) else value


class Correlated(nn.Module):
    """A linear layer whose periodic part is a correlation: it has no second matrix.

    Args:
        base: A linear layer, quantised or not; called once for all branches.
        n_in: Its inputs.
        n_out: Its outputs.
        weight: Flat offset of its weight.
        bias: Flat offset of its bias, if it has one.
        rows: The periodic part.
    """

    places: Tensor
    bias_places: Tensor

    def __init__(
        self,
        base: nn.Module,
        *,
        n_in: int,
        n_out: int,
        weight: int,
        bias: int | None,
        rows: Rows,
    ) -> None:
        super().__init__()
        self.base, self._shared, self._has_bias = base, rows, bias is not None
        self.n_out = n_out
        outputs = torch.arange(n_out, device=rows.rows.device)
        places = (weight + outputs * n_in) % rows.period
        self.register_buffer("places", places, persistent=False)
        self.register_buffer(
            "bias_places", ((bias or 0) + outputs) % rows.period, persistent=False
        )

    @property
    def branches(self) -> int:
        """Branches that a batch holds at present."""
        return self._shared.branches

    def forward(self, x: Tensor) -> Tensor:
        """Return base output plus periodic part, shape ``(..., n_out)``."""
        shared, branches = self._shared, self.branches
        folded = fold(x.reshape(branches, -1, x.shape[-1]), shared.period)
        extra = correlate(folded, shared.spectrum(folded.shape[-1]), self.places)
        if self._has_bias:
            extra = extra + shared.rows[:, None, self.bias_places]
        output: Tensor = self.base(x)
        return output + extra.view(output.shape)


class Embedded(nn.Module):
    """An embedding whose periodic part is looked up for the tokens at hand.

    Args:
        base: The embedding.
        weight: Flat offset of its table.
        rows: The periodic part.
    """

    def __init__(self, base: nn.Embedding, *, weight: int, rows: Rows) -> None:
        super().__init__()
        self.base, self._weight, self._shared = base, weight, rows

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of shape ``(*tokens.shape, width)``."""
        shared, width = self._shared, self.base.embedding_dim
        split = tokens.reshape(shared.branches, -1, 1)
        columns = torch.arange(width, device=tokens.device)
        places = (self._weight + split * width + columns) % shared.period
        extra = shared.rows[:, None].expand(-1, places.shape[1], -1).gather(2, places)
        return self.base(tokens) + extra.view(*tokens.shape, width)
