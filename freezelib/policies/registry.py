"""Policies by address: a name, and the keyword arguments of its class."""

from __future__ import annotations

import inspect

from freezelib.addresses import Value, parse_address, unknown
from freezelib.policies.base import Policy
from freezelib.policies.budget import Budget
from freezelib.policies.converged import GradNorm, Plasticity, WeightDelta
from freezelib.policies.schedules import Alpha, Linear, Manual, Never

_POLICIES: dict[str, type[Policy]] = {
    "never": Never,
    "manual": Manual,
    "linear": Linear,
    "alpha": Alpha,
    "budget": Budget,
    "gradnorm": GradNorm,
    "plasticity": Plasticity,
    "weight_delta": WeightDelta,
}


def policy_names() -> list[str]:
    """The policies that there are."""
    return list(_POLICIES)


def get_policy(address: str) -> Policy:
    """A fresh policy by address: ``budget``, ``linear:start=0.5,fraction=0.67``, ``manual:3=4``.

    Raises:
        ValueError: The name or a parameter is unknown, or a value is outside its range.
    """
    name, parameters = parse_address(address)
    if name not in _POLICIES:
        raise unknown("policy", name, _POLICIES)
    policy = _POLICIES[name]
    _check(name, policy, parameters)
    return policy(**parameters)


def _check(name: str, policy: type[Policy], parameters: dict[str, Value]) -> None:
    """Hold the parameters of an address against those that a policy takes."""
    takes = inspect.signature(policy).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values()):
        return
    if wrong := [key for key in parameters if key not in takes]:
        raise unknown(f"parameter of {name}", wrong[0], takes or ["(none)"])
    for key, value in parameters.items():
        whole = isinstance(takes[key].default, int)
        if not isinstance(value, int if whole else int | float):
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{key} of the policy {name} is {kind}, but got {value!r}.")
