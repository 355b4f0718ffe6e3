"""What an optimizer must remember to continue bit for bit."""

from typing import TYPE_CHECKING, Any

from hwmodel.checks import require
from zo.replay import ScalarLog

if TYPE_CHECKING:
    from zo.optimizer import ZO


def identity(optimizer: "ZO") -> dict[str, Any]:
    """Return the settings that a checkpoint shares with whoever continues it."""
    names = ["num_weights", "queries", "sides", "restore", "momentum", "eps", "scaling"]
    names += ["scope", "seed"]
    told = {name: getattr(optimizer, name) for name in names}
    return {**told, "source": optimizer.source.spec.address}


def check_identity(optimizer: "ZO", state: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless the state is of an optimizer with the same settings."""
    for name, ours in identity(optimizer).items():
        theirs = state["identity"][name]
        require(
            theirs == ours,
            law=f"a checkpoint is loaded with its own {name}",
            got=f"{name}={theirs!r} in the checkpoint, {ours!r} here",
            fix="build ZO with the checkpoint's settings on the checkpoint's model",
        )


def saved(optimizer: "ZO") -> dict[str, Any]:
    """Return all that is not in the weights: tensors, numbers and text only."""
    return {
        "identity": identity(optimizer),
        "steps": optimizer.steps,
        "log": optimizer.log.state_dict(),
        "walk": optimizer.walk.state_dict(),
        "rule": [optimizer.rule.mean_square, optimizer.rule.weight],
    }


def restored(optimizer: "ZO", state: dict[str, Any]) -> None:
    """Put an optimizer where ``saved`` found one; its weights are already there."""
    optimizer.steps, optimizer.log = state["steps"], ScalarLog.from_state_dict(state["log"])
    optimizer.rule.mean_square, optimizer.rule.weight = state["rule"]
    optimizer.walk.load_state_dict(state["walk"])
