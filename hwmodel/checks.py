"""One way to refuse bad input: the law, the values, the fix."""

import difflib
from collections.abc import Iterable


def require(holds: bool, *, law: str, got: str, fix: str) -> None:
    """Raise a ``ValueError`` that states the broken law, the values and the fix.

    Args:
        holds: Whether the law holds.
        law: The law as an expression, for instance ``1 <= bits <= 24``.
        got: The offending values, for instance ``bits=40``.
        fix: What the caller should do instead.

    Raises:
        ValueError: If the law does not hold.
    """
    if not holds:
        raise ValueError(f"`{law}` must hold, but got {got}: {fix}")


def choose(name: str, valid: Iterable[str], *, what: str) -> str:
    """Return ``name`` if it is valid.

    Args:
        name: What the caller asked for.
        valid: The names that exist.
        what: What is being named, for the message.

    Raises:
        ValueError: If the name is unknown; the message lists the valid names and the nearest.
    """
    names = sorted(valid)
    if name in names:
        return name
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"`{what} in {names}` must hold, but got {name!r}{hint}")
