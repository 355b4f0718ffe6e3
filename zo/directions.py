"""How many directions the distinct ones are worth.

Perturbations that come back are the fewer directions the more alike they are: the windows of a
short random pool are correlated, those of a bank of shift registers next to not at all. ``n``
vectors with the mean square ``c2`` of the cosine between two of them span as much as
``n / (1 + (n - 1) c2)`` orthogonal ones would: the participation ratio ``(sum l)^2 / sum l^2`` of
the eigenvalues ``l`` of their Gram matrix. Accuracy follows this number, whatever the source.
"""

import math

import numpy as np
import torch

from zo.sources.base import Source
from zo.sources.periodic import Periodic

_BLOCK = 1 << 16


def effective_directions(source: Source, num_weights: int, *, sample: int = 256) -> float:
    """Return the orthogonal directions that a source's distinct ones are worth.

    It makes ``sample * num_weights`` numbers, so it is for judging a source and not for a step.

    Args:
        source: Any source, bound or not.
        num_weights: Weights that are trained.
        sample: Perturbations to compare, picked at random but always the same; all if there are
            fewer.

    Raises:
        ValueError: If the source refuses the weight count.
    """
    bound = source.bind(num_weights)
    count = bound.distinct_directions(num_weights)
    tokens = _picked(bound, count, sample)
    if len(tokens) == 1:
        return 1.0
    gram = torch.zeros(len(tokens), len(tokens), dtype=torch.float64)
    for start in range(0, num_weights, _BLOCK):
        length = min(_BLOCK, num_weights - start)
        rows = np.stack([bound.codes(token, start, length) for token in tokens])
        part = torch.from_numpy(rows).float()
        gram += part @ part.T
    squares = gram.square() / torch.outer(gram.diagonal(), gram.diagonal())
    others = ~torch.eye(len(tokens), dtype=torch.bool)
    return 1 / (1 / count + (1 - 1 / count) * float(squares[others].mean()))


def _picked(source: Source, count: float, sample: int) -> list[int]:
    """Tokens of different perturbations."""
    if math.isinf(count):
        return list(range(sample))
    # Not evenly spaced ones: a bank's rotation would come round between them.
    picked = np.random.default_rng(0).permutation(int(count))[:sample]
    tokens: list[int] = picked.tolist()
    if isinstance(source, Periodic):  # random phases may meet one twice
        tokens = list({source.phase(token): token for token in tokens}.values())
    return tokens
