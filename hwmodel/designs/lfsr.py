"""One linear feedback shift register: the building block on its own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from hwmodel import verilog as v
from hwmodel.checks import choose, require
from hwmodel.designs.base import Codes, Design, Words, check_range
from hwmodel.designs.lfsr_group import LfsrGroup, check_group
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State

Form = Literal["fibonacci", "galois"]


@dataclass(frozen=True, kw_only=True)
class Lfsr(Design):
    """One LFSR, read as a word every clock.

    Attributes:
        state_bits: State bits, 2 to 24.
        bits: Bits of the state that are read, the low ones; ``None`` reads all.
        leap: Shifts per clock, coprime with the period; with 1, successive words overlap and
            correlate.
        form: ``fibonacci`` or ``galois``.
        taps: Exponents of a primitive polynomial, highest first; ``()`` takes the table's.
        seed: From which the start state is derived.
    """

    kind = "lfsr"

    state_bits: int = 8
    bits: int | None = None
    leap: int = 1
    form: Form = "fibonacci"
    taps: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        choose(self.form, get_args(Form), what="form")
        check_group(self.group)
        if self.bits is None:
            object.__setattr__(self, "bits", self.state_bits)
        require(
            1 <= self.word_bits <= self.state_bits,
            law="1 <= bits <= state_bits",
            got=f"bits={self.bits}, state_bits={self.state_bits}",
            fix="an LFSR has no more bits to read than it has state",
        )

    @cached_property
    def group(self) -> LfsrGroup:
        """Return the register as a group of one."""
        return LfsrGroup(
            count=1,
            bits=self.state_bits,
            leap=self.leap,
            seed=self.seed,
            form=self.form,
            taps=self.taps,
        )

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"LFSR {self.state_bits}->{self.bits}, {self.form}, leap {self.leap}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return 1

    @property
    def period_clocks(self) -> int:
        """Return the clocks after which the stream repeats."""
        return self.group.period

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return 2.0**-self.word_bits

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""
        assert self.bits is not None
        return self.bits

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        states = self.group.states(0, np.arange(start, start + length))
        return self.decode(states & ((1 << self.word_bits) - 1))

    def decode(self, words: Words) -> Codes:
        """Return twice the distance from the middle of the words that occur.

        A word that is the whole state is never zero, which moves the middle up by a half.
        """
        middle_twice = (1 << self.word_bits) - (self.word_bits < self.state_bits)
        return (2 * words - middle_twice).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        return {
            "x": Signal(self.state_bits, "ff"),
            "feedback": Signal(self.group.fresh_bits, "lut"),
        }

    def reset(self) -> State:
        """Return the registers after reset."""
        return {"x": self.group.reset()}

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        return {"x": self.group.clock(state["x"])}

    def nets(self, state: State) -> State:
        """Return the freshly computed bits."""
        return {"feedback": self.group.fresh(state["x"])}

    def words(self, state: State) -> list[int]:
        """Return the word on the output bus."""
        return [state["x"] & ((1 << self.word_bits) - 1)]

    def verilog(self, *, module: str = "rng") -> str:
        """Return the register as a module."""
        body = [
            *self.group.verilog("x", module=module),
            *v.registers({"x": self.group.verilog_reset()}, {"x": self.group.verilog_next("x")}),
            f"assign out = x[{self.word_bits - 1}:0];",
        ]
        shared = self.group.verilog_modules("x", module=module)
        return shared + v.module(module, bus_bits=self.word_bits, body=body)

    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""
        return self.group.resources()

    def activity(self) -> Activity:
        """Return the activity of a maximal sequence."""
        return Activity(lut=self.group.activity, ff=self.group.activity)
