"""Zeroth-order optimizers and their perturbation sources.

A step is two forward passes and no backward pass: the weights move along one direction, the loss
is read on either side, and the difference says how far to go back along the same direction.
Where the direction's numbers come from is a *perturbation source*; its cost in time, in memory
and in hardware is what this package is about.

Importing it is free: torch and numpy are loaded with the first name that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zo.adapter import Adapter as Adapter
    from zo.addresses import SourceSpec as SourceSpec
    from zo.addresses import get_source as get_source
    from zo.addresses import parse_source as parse_source
    from zo.directions import effective_directions as effective_directions
    from zo.distributed import DirectionParallel as DirectionParallel
    from zo.distributed import averaged as averaged
    from zo.guards import DivergedError as DivergedError
    from zo.optimizer import ZO as ZO
    from zo.quantised import Int8Linear as Int8Linear
    from zo.quantised import quantise as quantise
    from zo.replay import ScalarLog as ScalarLog
    from zo.sources.bank import LfsrBank as LfsrBank
    from zo.sources.base import Source as Source
    from zo.sources.fresh import Gaussian as Gaussian
    from zo.sources.fresh import Rademacher as Rademacher
    from zo.sources.fresh import Uniform as Uniform
    from zo.sources.mezo import MezoGaussian as MezoGaussian
    from zo.sources.pool import Pool as Pool

_HOME = {
    "Adapter": "zo.adapter",
    "effective_directions": "zo.directions",
    "DirectionParallel": "zo.distributed",
    "averaged": "zo.distributed",
    "Int8Linear": "zo.quantised",
    "quantise": "zo.quantised",
    "SourceSpec": "zo.addresses",
    "get_source": "zo.addresses",
    "parse_source": "zo.addresses",
    "DivergedError": "zo.guards",
    "ZO": "zo.optimizer",
    "ScalarLog": "zo.replay",
    "LfsrBank": "zo.sources.bank",
    "Source": "zo.sources.base",
    "Gaussian": "zo.sources.fresh",
    "Rademacher": "zo.sources.fresh",
    "Uniform": "zo.sources.fresh",
    "MezoGaussian": "zo.sources.mezo",
    "Pool": "zo.sources.pool",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Load a public name from its module at first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return [*globals(), *_HOME]
