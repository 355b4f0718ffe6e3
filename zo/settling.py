"""A module that settles its weights by itself before anyone looks at them.

Between lazy steps the weights carry a perturbation. An optimizer that was given the module can
see it being used: by a forward outside a step, by ``state_dict`` or by ``load_state_dict``.
"""

import weakref
from typing import Protocol

from torch import nn

from zo.walk import Walk


class Settles(Protocol):
    """What has to be settled: an optimizer.

    Attributes:
        stepping: Whether a step is under way.
        walk: Where its weights are; it must not hold the optimizer.
    """

    stepping: bool
    walk: Walk

    def flush(self) -> None:
        """Bring the weights up to date."""
        ...


class _Settle:
    """A hook that flushes an optimizer for as long as it lives; a pickled copy does nothing."""

    def __init__(self, optimizer: Settles | None = None) -> None:
        self._find = weakref.ref(optimizer) if optimizer is not None else _nobody

    def __call__(self, *_: object) -> None:
        optimizer = self._find()
        if optimizer is not None and not optimizer.stepping:
            optimizer.flush()

    def __reduce__(self) -> tuple[type["_Settle"], tuple[()]]:
        return _Settle, ()


def _nobody() -> None:
    return None


def settle_before_use(module: nn.Module, optimizer: Settles) -> None:
    """Have ``optimizer`` flushed before the module is run, saved or loaded, and when it goes."""
    hook = _Settle(optimizer)
    weakref.finalize(optimizer, optimizer.walk.settle).atexit = False
    module.register_forward_pre_hook(hook)
    module.register_state_dict_pre_hook(hook)
    module.register_load_state_dict_pre_hook(hook)
