"""How many different perturbations a periodic source can ever make.

A step that consumes part of a periodic stream and leaves the next step where it stopped walks
round a cycle. It meets ``cycle / gcd(advance, cycle)`` places, and so many *distinct directions*
has the whole training, however long: the number that governs its accuracy.
"""

from math import gcd, lcm


def distinct_places(cycle: int, *, advance: int) -> int:
    """Return how many places of a cycle are visited in jumps of ``advance``.

    For a pool of ``N`` numbers and ``d`` weights that is ``N / gcd(d, N)``.

    Args:
        cycle: Length of the cycle.
        advance: How far one step moves, in the unit of ``cycle``.
    """
    return cycle // gcd(advance, cycle)


def clocks_per_step(num_weights: int, *, numbers_per_cycle: int) -> int:
    """Return the clocks in which a source makes one perturbation, surplus numbers dropped."""
    return -(-num_weights // numbers_per_cycle)


def bank_cycle(num_rngs: int, *, lfsr_period: int, rotated: bool) -> int:
    """Return the clocks after which a bank repeats: ``lcm(n, M)``, without rotation ``M``."""
    return lcm(num_rngs, lfsr_period) if rotated else lfsr_period


def bank_directions(
    num_rngs: int, *, lfsr_period: int, num_weights: int, rotated: bool, idle_clocks: int = 0
) -> int:
    """Return the distinct directions of a bank of LFSRs.

    ``lcm(n, M) / gcd(C, lcm(n, M))`` with rotation and ``M / gcd(C, M)`` without, where ``C`` is
    the clocks per step.

    Args:
        num_rngs: LFSRs in the bank, ``n``; one number each per clock.
        lfsr_period: Period of one LFSR, ``M``, in clocks.
        num_weights: Weights per perturbation.
        rotated: Whether the RNG at position 0 moves to the end after every clock.
        idle_clocks: Clocks that pass unused between two perturbations.
    """
    cycle = bank_cycle(num_rngs, lfsr_period=lfsr_period, rotated=rotated)
    clocks = clocks_per_step(num_weights, numbers_per_cycle=num_rngs)
    return distinct_places(cycle, advance=clocks + idle_clocks)


def smallest_repair(cycle: int, *, advance: int) -> int:
    """Return the smallest extra advance after which a step visits the whole cycle.

    The result is a ``stride`` for a pool and ``idle_clocks`` for a bank.
    """
    extra = 0
    while gcd(advance + extra, cycle) != 1:
        extra += 1
    return extra
