"""When to freeze: policies propose, guards decide, an observer measures what a policy needs.

A policy is addressed as ``"linear:start=0.5,fraction=0.67"``. ``schedules``, ``budget`` and
``converged`` hold the policies, ``guards`` what holds all of them back, ``observer`` and
``measures`` what is seen of the model while it trains. Only the latter two need torch, so that
checking an address costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from freezelib.policies.base import EpochStats, Policy
from freezelib.policies.guards import Decision, Guards
from freezelib.policies.registry import get_policy, policy_names

if TYPE_CHECKING:
    from freezelib.cuts import blocks
    from freezelib.policies.observer import Observer

__all__ = [
    "Decision",
    "EpochStats",
    "Guards",
    "Observer",
    "Policy",
    "blocks",
    "get_policy",
    "policy_names",
]

_HOME = {"Observer": "freezelib.policies.observer", "blocks": "freezelib.cuts"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
