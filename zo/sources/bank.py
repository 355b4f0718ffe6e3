"""The on-the-fly source: a bank of LFSRs that take turns."""

from functools import cached_property

from hwmodel.checks import require
from hwmodel.designs.lfsr_bank import LfsrBank as Design
from hwmodel.directions import bank_cycle, bank_directions, clocks_per_step, smallest_repair
from zo.addresses import make_spec
from zo.sources.periodic import Periodic


class LfsrBank(Periodic):
    """A bank of ``num_rngs`` linear feedback shift registers, one number each per clock.

    A perturbation takes whole clocks; numbers left over in its last one are dropped. With
    rotation the register at position 0 moves to the end after every clock, which lengthens the
    period from ``M`` clocks to ``lcm(num_rngs, M)``, ``M = 2**bits - 1``.

    Args:
        num_rngs: Registers in the bank.
        bits: Bits of each register and of each number.
        leap: Shifts per number; by default as many as make consecutive numbers unrelated.
        rotation: ``ring`` or ``barrel``, which emit the same numbers, or ``none``.
        seed: Which start states.
        repair: Wait the few clocks between perturbations that let training meet every state.

    Raises:
        ValueError: If a parameter is out of bounds, there are more registers than start states,
            or a rotation would add nothing and ``repair`` is not switched off.
    """

    def __init__(
        self,
        num_rngs: int = 31,
        *,
        bits: int = 8,
        leap: int | None = None,
        rotation: str = "ring",
        seed: int = 0,
        repair: bool = True,
    ) -> None:
        self.spec = make_spec(
            "lfsr_bank",
            num_rngs=num_rngs,
            bits=bits,
            leap=leap,
            rotation=rotation,
            seed=seed,
            repair=repair,
        )
        self.num_rngs, self.bits, self.leap = num_rngs, bits, leap
        self.rotation, self.seed, self.repair = rotation, seed, repair
        self._refuse_idle_rotation()

    def _refuse_idle_rotation(self) -> None:
        states = 2**self.bits - 1
        idle = self._design.rotated and self.num_rngs > 1 and states % self.num_rngs == 0
        require(
            not (idle and self.repair),
            law="a rotated bank has a num_rngs that does not divide 2**bits - 1",
            got=f"num_rngs={self.num_rngs}, 2**bits - 1 = {states}: its rotation adds no state",
            fix=f"take num_rngs={self.num_rngs + 1}, rotation='none', or repair=False",
        )

    def design(self, *, lanes: int | None = None) -> Design:
        """Return the bank that emits these numbers.

        Args:
            lanes: Without effect: a bank emits ``num_rngs`` numbers per clock, and a wider bus is
                wires that repeat them.
        """
        return self._design

    @cached_property
    def _design(self) -> Design:
        return Design(
            num_rngs=self.num_rngs,
            bits=self.bits,
            leap=self.leap,
            rotation=self.rotation,  # type: ignore[arg-type]
            seed=self.seed,
        )

    def idle_clocks(self, num_weights: int) -> int:
        """Return the clocks that pass unused after each perturbation."""
        if not self.repair:
            return 0
        design = self._design
        cycle = bank_cycle(self.num_rngs, lfsr_period=design.lfsr_period, rotated=design.rotated)
        clocks = clocks_per_step(num_weights, numbers_per_cycle=self.num_rngs)
        return smallest_repair(cycle, advance=clocks)

    def advance(self, num_weights: int) -> int:
        """Return by how many numbers the phase moves per perturbation."""
        clocks = clocks_per_step(num_weights, numbers_per_cycle=self.num_rngs)
        return self.num_rngs * (clocks + self.idle_clocks(num_weights))

    def distinct_directions(self, num_weights: int) -> int:
        """Return how many different perturbations a whole training can see."""
        return bank_directions(
            self.num_rngs,
            lfsr_period=self._design.lfsr_period,
            num_weights=num_weights,
            rotated=self._design.rotated,
            idle_clocks=self.idle_clocks(num_weights),
        )
