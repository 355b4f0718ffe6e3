"""Where a step reads its losses, and what it concludes from them."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from zo.replay import as_logged

Closure = Callable[[], float | Tensor]
"""Returns the loss at the present weights."""

Look = tuple[int | None, float]
"""A perturbation and how far along it, or ``None`` for the weights themselves."""


def looks_of(scales: Mapping[int, float], *, eps: float, sides: int) -> list[Look]:
    """Return the looks of a step in their order.

    Args:
        scales: Each perturbation of the step with its modulus scale.
        eps: Distance from the weights.
        sides: 2 for both sides of each perturbation; 1 for the weights and then one side of each.
    """
    looks: list[Look] = [(None, 0.0)] if sides == 1 else []
    for token, scale in scales.items():
        looks += [(token, eps * scale), (token, -eps * scale)][:sides]
    return looks


def slopes_of(losses: Sequence[float], *, eps: float, sides: int) -> list[float]:
    """Return the directional derivatives that the losses of all looks imply, as a log keeps them.

    Args:
        losses: One per look.
        eps: Distance from the weights.
        sides: As in ``looks_of``.
    """
    if sides == 1:
        return as_logged([(loss - losses[0]) / eps for loss in losses[1:]])
    pairs = zip(losses[::2], losses[1::2], strict=True)
    return as_logged([(plus - minus) / (2 * eps) for plus, minus in pairs])


def reported(losses: Sequence[float], *, sides: int) -> float:
    """Return the loss to report: at the weights, or the mean of both sides."""
    return losses[0] if sides == 1 else sum(losses) / len(losses)
