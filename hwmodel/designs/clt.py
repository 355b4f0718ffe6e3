"""A sum of uniform words: the plainest Gaussian generator."""

from dataclasses import dataclass
from functools import lru_cache
from math import log2

import numpy as np

from hwmodel import gf2
from hwmodel import verilog as v
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range
from hwmodel.designs.lfsr_group import LfsrGroup, check_group
from hwmodel.resources import Resources
from hwmodel.tiling import read_cyclic, unroll
from hwmodel.trace import Activity, Signal, State, unpack

# As many registers in a row become a shift register in LUTs.
_SHIFT_REGISTER = 3


@dataclass(frozen=True, kw_only=True)
class Clt(Design):
    """The sum of ``terms`` uniform words, Gaussian by the central limit theorem.

    Each word is the low ``bits`` bits of an LFSR of its own, and a pipelined tree of adders takes
    the sum, one level per clock.

    Attributes:
        terms: Words per number, 2 to 64.
        bits: Bits per word, 2 to 12.
        state_bits: State bits of each LFSR, at most 24; ``None`` is ``2 * bits``.
        seed: From which the distinct start states are derived.
    """

    kind = "clt"

    terms: int = 12
    bits: int = 8
    state_bits: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=2, high=12)
        require(
            2 <= self.terms <= 64,
            law="2 <= terms <= 64",
            got=f"terms={self.terms}",
            fix="12 terms are customary; tails grow as the square root of their number",
        )
        if self.state_bits is None:
            object.__setattr__(self, "state_bits", 2 * self.bits)
        require(
            self.bits <= self.group.bits,
            law="bits <= state_bits",
            got=f"bits={self.bits}, state_bits={self.state_bits}",
            fix="the state must hold the word",
        )
        check_group(self.group)

    @property
    def group(self) -> LfsrGroup:
        """Return the LFSRs: each leaps far enough for a fresh word every clock."""
        assert self.state_bits is not None
        leap = gf2.coprime_leap(self.state_bits, at_least=self.bits)
        return LfsrGroup(count=self.terms, bits=self.state_bits, leap=leap, seed=self.seed)

    @property
    def tree(self) -> list[list[int]]:
        """Return the widths of the sums after each level of the adder tree."""
        levels, widths = [], [self.bits] * self.terms
        while len(widths) > 1:
            pairs = [max(pair) + 1 for pair in zip(widths[::2], widths[1::2], strict=False)]
            widths = pairs + widths[2 * len(pairs) :]
            levels.append(widths)
        return levels

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"CLT of {self.terms}x{self.bits}"

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
        """Return the power of two that brings the standard deviation closest to one."""
        variance = self.terms * (4**self.bits - 1) / 3
        return 2.0 ** -round(log2(variance) / 2)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""
        return self.tree[-1][0]

    @property
    def latency_clocks(self) -> int:
        """Return the levels of the adder tree."""
        return len(self.tree)

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        return read_cyclic(_whole_period(self), start, length)

    def decode(self, words: Words) -> Codes:
        """Return twice the sum's distance from its middle."""
        return (2 * words - self.terms * ((1 << self.bits) - 1)).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        found = {
            "x": Signal(self.terms * self.group.bits, "ff"),
            "feedback": Signal(self.terms * self.group.fresh_bits, "lut"),
        }
        for level, widths in enumerate(self.tree):
            for place, width in enumerate(widths):
                found[f"sum{level}_{place}"] = Signal(width, "ff")
                found[f"add{level}_{place}"] = Signal(width, "lut")
        return found

    def reset(self) -> State:
        """Return the registers after reset."""
        sums = {name: 0 for name in self.signals() if name.startswith("sum")}
        return {"x": self.group.reset()} | sums

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        sums = {name.replace("add", "sum"): total for name, total in self._sums(state).items()}
        return {"x": self.group.clock(state["x"])} | sums

    def _sums(self, state: State) -> State:
        """Return what every adder sees from the registers of the level before."""
        mask = (1 << self.bits) - 1
        values = [x & mask for x in unpack(state["x"], width=self.group.bits, count=self.terms)]
        sums: State = {}
        for level, widths in enumerate(self.tree):
            totals = [sum(values[2 * i : 2 * i + 2]) for i in range(len(widths))]
            sums |= {f"add{level}_{i}": total for i, total in enumerate(totals)}
            values = [state[f"sum{level}_{i}"] for i in range(len(widths))]
        return sums

    def nets(self, state: State) -> State:
        """Return the fresh bits of every LFSR and the outputs of every adder."""
        return {"feedback": self.group.fresh(state["x"])} | self._sums(state)

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus."""
        return [state[f"sum{len(self.tree) - 1}_0"]]

    def verilog(self, *, module: str = "rng") -> str:
        """Return the generator as a module."""
        width = self.group.bits
        lines = self.group.verilog("x", module=module)
        nexts = {"x": self.group.verilog_next("x")}
        before = [f"x[{t * width + self.bits - 1}:{t * width}]" for t in range(self.terms)]
        for level, widths in enumerate(self.tree):
            names = [f"sum{level}_{i}" for i in range(len(widths))]
            lines += [f"reg [{w - 1}:0] {n};" for w, n in zip(widths, names, strict=True)]
            nexts |= {n: " + ".join(before[2 * i : 2 * i + 2]) for i, n in enumerate(names)}
            before = names
        resets = {"x": self.group.verilog_reset()}
        body = [*lines, *v.registers(resets, nexts), f"assign out = {before[0]};"]
        shared = self.group.verilog_modules("x", module=module)
        return shared + v.module(module, bus_bits=self.word_bits, body=body)

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: LFSRs and the tree of adders."""
        return self.group.resources() + _adders(self.terms, self.bits)

    def activity(self) -> Activity:
        """Return the activity of random data."""
        return Activity(lut=0.5, ff=0.5)


@lru_cache(maxsize=1024)
def _adders(terms: int, bits: int) -> Resources:
    """Return the resources of a pipelined tree of adders.

    A carry chain takes a LUT where both operands have a bit, and one more to carry into a longer
    one. An operand that waits through three registers does so in a shift register, a LUT per bit.
    """
    lut = ff = 0
    count, width, held = terms, bits, 0  # operands of a level, and registers of each
    odd: tuple[int, int] | None = None  # width and registers of one that waits for a partner
    while count > 1 or odd:
        pairs, left = divmod(count, 2)
        lut, ff = lut + pairs * width, ff + 2 * pairs * width * held
        if left and odd:
            short, waited = odd
            shifted = waited >= _SHIFT_REGISTER
            lut += short + (width > short + 1) + shifted * short
            ff += width * held + (not shifted) * short * waited
        if bool(left) != bool(odd):
            short, waited = odd or (width, held)
            odd = short, waited + 1
        else:
            pairs, odd = pairs + left, None
        count, width, held = pairs, width + 1, 1
    return Resources(lut=lut, ff=ff + width)


@lru_cache(maxsize=8)
def _whole_period(design: Clt) -> Codes:
    clocks = np.arange(design.period_clocks)
    mask = (1 << design.bits) - 1
    words = (design.group.states(term, clocks) & mask for term in range(design.terms))
    return unroll(design.decode(np.sum(list(words), axis=0, dtype=np.int64)))
