"""The modulus scale: the factor that gives a perturbation the norm of a Gaussian one.

The estimate is ``z (z . grad)``, so a scale ``c`` on ``z`` is the same as ``eps * c`` together
with ``lr * c**2``: it changes no algorithm, it makes a step size carry over from one source to
another.
"""

import math

from hwmodel.checks import require

Scaling = str | float

NAMES = ("exact", "pow2", "none")


def expected_norm(num_weights: int) -> float:
    """Return the expected l2 norm of a standard Gaussian vector.

    ``sqrt(2) Gamma((d+1)/2) / Gamma(d/2)``; above a million weights its series
    ``sqrt(d) (1 - 1/(4d))``, which is then exact to double precision and loses no digits.
    """
    d = num_weights
    if d > 10**6:
        return math.sqrt(d) * (1 - 1 / (4 * d))
    return math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))


def check_scaling(scaling: Scaling) -> None:
    """Raise ``ValueError`` unless ``scaling`` is a known name or a positive number."""
    number = isinstance(scaling, (int, float)) and math.isfinite(scaling) and scaling > 0
    require(
        number or scaling in NAMES,
        law=f"scaling in {list(NAMES)} or scaling > 0",
        got=f"scaling={scaling!r}",
        fix="use 'exact' unless the multiplier must be a shift ('pow2')",
    )


def modulus_scale(scaling: Scaling, *, exact: float) -> float:
    """Return the factor to multiply a perturbation's values with.

    Args:
        scaling: ``exact``; ``pow2``, the power of two nearest in the logarithm, which hardware
            applies as a shift; ``none``; or a constant.
        exact: The exact factor, ``expected_norm(d) / norm``.
    """
    if scaling == "exact":
        return exact
    if scaling == "pow2":
        return 2.0 ** round(math.log2(exact))
    return 1.0 if scaling == "none" else float(scaling)
