"""LFSRs of one polynomial with start states of their own: the part that every design is fed by."""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from hwmodel import gf2
from hwmodel import verilog as v
from hwmodel.checks import require
from hwmodel.hashing import distinct_below
from hwmodel.resources import Resources
from hwmodel.trace import pack, unpack
from hwmodel.xor_network import Rows, shared_rows, xor_network_luts


@dataclass(frozen=True, kw_only=True)
class LfsrGroup:
    """``count`` registers that step together, ``leap`` shifts per clock.

    Attributes:
        count: How many LFSRs.
        bits: State bits of each, 2 to 24.
        leap: Shifts per clock, coprime with the period.
        seed: From which the distinct start states are derived.
        form: ``fibonacci`` or ``galois``.
        taps: Exponents of a primitive polynomial, highest first; ``()`` takes the table's.
    """

    count: int
    bits: int
    leap: int
    seed: int
    form: str = "fibonacci"
    taps: tuple[int, ...] = ()

    @property
    def period(self) -> int:
        """Return the clocks after which each LFSR repeats."""
        return (1 << self.bits) - 1

    @property
    def polynomial(self) -> tuple[int, ...]:
        """Return the taps in use."""
        return self.taps or gf2.TAPS[self.bits]

    @property
    def step(self) -> gf2.Map:
        """Return one clock as a map over GF(2)."""
        return gf2.power(gf2.shift_map(self.polynomial, self.form), self.leap)

    @property
    def rows(self) -> Rows:
        """Return, for every bit of the next state, the bits of the state whose XOR it is."""
        return gf2.leap_rows(self.polynomial, self.form, self.leap)

    @property
    def fresh_bits(self) -> int:
        """Return how many bits of a state are newly computed per clock, the others only move."""
        return sum(row.bit_count() > 1 for row in self.rows)

    @property
    def phases(self) -> tuple[int, ...]:
        """Return how many clocks after state 1 each LFSR starts; distinct."""
        return _phases(self.period, self.count, self.seed)

    @property
    def orbit(self) -> NDArray[np.int32]:
        """Return all states in the order in which they follow state 1."""
        return _orbit(self.step)

    def states(self, lfsr: NDArray[np.int64] | int, clock: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the states of LFSRs at clocks, in closed form.

        Args:
            lfsr: Indices of LFSRs, or one index.
            clock: Clocks since reset, same shape.
        """
        place = (np.asarray(self.phases)[lfsr] + clock) % self.period
        return self.orbit[place]

    def reset(self) -> int:
        """Return the packed start states."""
        return pack([self.start(phase) for phase in self.phases], width=self.bits)

    def start(self, phase: int) -> int:
        """Return the state ``phase`` clocks after state 1."""
        return gf2.apply(gf2.power(self.step, phase), 1)

    def clock(self, packed: int) -> int:
        """Return the packed states one clock later, shift by shift."""
        shift = gf2.STEPS[self.form]
        states = unpack(packed, width=self.bits, count=self.count)
        for _ in range(self.leap):
            states = [shift(state, self.polynomial) for state in states]
        return pack(states, width=self.bits)

    def fresh(self, packed: int) -> int:
        """Return the newly computed bits of the next states, packed."""
        computed = [bit for bit, row in enumerate(self.rows) if row.bit_count() > 1]
        states = unpack(self.clock(packed), width=self.bits, count=self.count)
        words = [pack([state >> bit & 1 for bit in computed], width=1) for state in states]
        return pack(words, width=self.fresh_bits)

    def verilog(self, name: str, *, module: str) -> list[str]:
        """Return the register ``name`` and the function ``leap_<name>`` that steps one state.

        Args:
            name: Of the register.
            module: Of the module that these lines are in.
        """
        bus, shared = self.count * self.bits, len(shared_rows(self.rows))
        lines = [f"reg [{bus - 1}:0] {name};", *v.linear_function(f"leap_{name}", self.rows)]
        if shared:
            lines.append(f"wire [{self.count * shared - 1}:0] shared_{name};")
        for k in range(self.count if shared else 0):
            state, rows = (
                v.part(name, k, width=self.bits),
                v.part(f"shared_{name}", k, width=shared),
            )
            lines.append(f"{module}_shared_{name} shared_{name}_{k} ({state}, {rows});")
        return lines

    def verilog_modules(self, name: str, *, module: str) -> str:
        """Return the module that the lines of ``verilog`` need, if any."""
        return v.shared_module(f"{module}_shared_{name}", self.rows)

    def verilog_reset(self) -> str:
        """Return the packed start states as a literal."""
        return v.literal(self.reset(), bits=self.count * self.bits)

    def verilog_next(self, name: str, *, turned: bool = False) -> str:
        """Return the next value of register ``name``; ``turned`` moves every state down by one."""
        shared = len(shared_rows(self.rows))
        words = [v.part(name, k, width=self.bits) for k in range(self.count)]
        if shared:
            rows = [v.part(f"shared_{name}", k, width=shared) for k in range(self.count)]
            words = [f"{word}, {row}" for word, row in zip(words, rows, strict=True)]
        source = words[1:] + words[:1] if turned else words
        return v.concat([f"leap_{name}({word})" for word in source])

    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""
        return Resources(lut=xor_network_luts(self.rows) * self.count, ff=self.bits * self.count)

    @property
    def activity(self) -> float:
        """Return the toggles per bit and clock: the XOR of two states is a third of the orbit."""
        return (self.period + 1) / (2 * self.period)


def check_group(group: LfsrGroup) -> None:
    """Refuse a group that could not run through its whole period with distinct states.

    Raises:
        ValueError: If a width, the taps, the leap or the count is out of its range.
    """
    require(
        2 <= group.bits <= 24,
        law="2 <= state bits <= 24",
        got=f"{group.bits}",
        fix="choose a width in this range",
    )
    require(
        group.polynomial[0] == group.bits
        and (not group.taps or gf2.is_maximal(gf2.shift_map(group.taps, group.form))),
        law="taps are the exponents of a primitive polynomial of degree `state bits`",
        got=f"taps={group.polynomial}, state bits {group.bits}",
        fix=f"take taps={gf2.TAPS[group.bits]}",
    )
    require(
        1 <= group.count <= group.period,
        law="1 <= number of LFSRs <= 2**bits - 1",
        got=f"{group.count} LFSRs of {group.bits} bits",
        fix="each needs a start state of its own; take more bits or fewer LFSRs",
    )
    require(
        1 <= group.leap <= group.period and gcd(group.leap, group.period) == 1,
        law="1 <= leap < 2**bits and gcd(leap, 2**bits - 1) == 1",
        got=f"leap={group.leap}, 2**bits - 1 = {group.period}",
        fix=f"take leap={gf2.coprime_leap(group.bits, at_least=group.bits)}",
    )


@lru_cache(maxsize=4096)
def _phases(period: int, count: int, seed: int) -> tuple[int, ...]:
    return distinct_below(period, count, seed=seed)


@lru_cache(maxsize=16)
def _orbit(step: gf2.Map) -> NDArray[np.int32]:
    return gf2.orbit(step, (1 << len(step)) - 1)
