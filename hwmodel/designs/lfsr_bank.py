"""A bank of LFSRs that takes turns: the on-the-fly perturbation source."""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwmodel import gf2
from hwmodel import verilog as v
from hwmodel.checks import choose, require
from hwmodel.designs.barrel import Barrel
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range
from hwmodel.designs.lfsr_group import LfsrGroup, check_group
from hwmodel.directions import bank_cycle
from hwmodel.hashing import child_seed, distinct_below
from hwmodel.resources import Resources
from hwmodel.tiling import read_cyclic, unroll
from hwmodel.trace import Activity, Signal, State, rotate_right, unpack
from hwmodel.weaving import prolonged, weave

Rotation = Literal["ring", "barrel", "none"]

# A whole period of at most this many codes (32 MiB at up to 15 bits) is kept and copied from.
_KEPT_PERIOD = 1 << 24

# Longer stretches are woven in blocks.
_WOVEN = 1 << 15


@dataclass(frozen=True, kw_only=True)
class LfsrBank(Design):
    """``num_rngs`` Fibonacci LFSRs of one polynomial, one number each per clock.

    With rotation, position ``j`` shows RNG ``(j + c) % num_rngs`` in clock ``c``: the RNG at
    position 0 moves to the end after every clock. A ``ring`` moves the states, which needs no
    logic because all RNGs share one polynomial; a ``barrel`` leaves the states in place and
    rotates the output. Both emit the same stream.

    Attributes:
        num_rngs: LFSRs in the bank.
        bits: State and output bits of each, 2 to 24.
        leap: Shifts per clock; ``None`` is ``bits``, or the next number coprime with the period.
        rotation: ``ring``, ``barrel`` or ``none``.
        seed: From which the distinct start states are derived.
    """

    kind = "lfsr_bank"

    num_rngs: int = 31
    bits: int = 8
    leap: int | None = None
    rotation: Rotation = "ring"
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=2, high=24)
        choose(self.rotation, get_args(Rotation), what="rotation")
        require(
            1 <= self.num_rngs <= self.lfsr_period,
            law="1 <= num_rngs <= 2**bits - 1",
            got=f"num_rngs={self.num_rngs}, bits={self.bits}",
            fix="each RNG needs a start state of its own; take more bits or fewer RNGs",
        )
        if self.leap is None:
            object.__setattr__(self, "leap", gf2.coprime_leap(self.bits, at_least=self.bits))
        check_group(self._unseeded)

    @property
    def _unseeded(self) -> LfsrGroup:
        """Return the LFSRs as far as they do not depend on the seed."""
        assert self.leap is not None
        return LfsrGroup(count=self.num_rngs, bits=self.bits, leap=self.leap, seed=0)

    @property
    def group(self) -> LfsrGroup:
        """Return the LFSRs."""
        return replace(self._unseeded, seed=_group_seed(self))

    @property
    def barrel(self) -> Barrel:
        """Return the rotator of a bank with barrel rotation."""
        return Barrel(words=self.num_rngs, bits=self.bits)

    @property
    def lfsr_period(self) -> int:
        """Return the clocks after which one LFSR repeats."""
        return (1 << self.bits) - 1

    @property
    def rotated(self) -> bool:
        """Return whether the RNGs take turns."""
        return self.rotation != "none"

    @property
    def name(self) -> str:
        """Return a short name for people."""
        turning = f"{self.rotation} rotation" if not self.rotated else self.rotation
        return f"LFSR bank {self.num_rngs}x{self.bits}, {turning}, leap {self.leap}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return self.num_rngs

    @property
    def period_clocks(self) -> int:
        """Return the clocks after which the stream repeats."""
        return bank_cycle(self.num_rngs, lfsr_period=self.lfsr_period, rotated=self.rotated)

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return 2.0**-self.bits

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""
        return self.bits

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        if self.period_clocks * self.num_rngs <= _KEPT_PERIOD:
            return read_cyclic(_whole_period(self), start, length)
        return self._stretch(start, length)

    def _stretch(self, start: int, length: int) -> Codes:
        return self._weave(start, length) if length >= _WOVEN else self._gather(start, length)

    def _weave(self, start: int, length: int) -> Codes:
        """Return a long stretch of the stream."""
        first, skip = divmod(start, self.num_rngs)
        woven = weave(
            _prolonged_orbit(self.bits, self.group.step),
            np.array(self.group.phases),
            first=first,
            clocks=-(-(start + length) // self.num_rngs) - first,
            rotated=self.rotated,
        )
        return woven[skip : skip + length]

    def _gather(self, start: int, length: int) -> Codes:
        """Return a short stretch of the stream, every number from its place in the orbit."""
        first, skip = divmod(start, self.num_rngs)
        clocks = np.arange(first, -(-(start + length) // self.num_rngs))
        phases = np.array(self.group.phases, dtype=np.int32)
        if self.rotated:
            turns = np.lib.stride_tricks.sliding_window_view(np.tile(phases, 2), self.num_rngs)
            phases = turns[clocks % self.num_rngs]
        places = phases + (clocks % self.lfsr_period).astype(np.int32)[:, None]
        places -= self.lfsr_period * (places >= self.lfsr_period).astype(np.int32)
        return self.decode(self.group.orbit[places].reshape(-1)[skip : skip + length])

    def decode(self, words: Words) -> Codes:
        """Return ``2 x - 2**bits``: odd-symmetric, zero mean over a period."""
        return (2 * words - (1 << self.bits)).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        bus = self.num_rngs * self.bits
        found = {"s": Signal(bus, "ff")}
        found["feedback"] = Signal(self.num_rngs * self.group.fresh_bits, "lut")
        if self.rotation == "barrel":
            found["turn"] = Signal(self.barrel.turn_bits, "ff")
            found |= {f"stage{i}": Signal(bus, "lut") for i in range(self.barrel.stages)}
        return found

    def reset(self) -> State:
        """Return the registers after reset."""
        registers = {"s": self.group.reset()}
        return registers | {"turn": 0} if self.rotation == "barrel" else registers

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        after = {"s": self.group.clock(state["s"])}
        if self.rotation == "ring":
            bus = self.num_rngs * self.bits
            after["s"] = rotate_right(after["s"], by=self.bits, width=bus)
        if self.rotation == "barrel":
            after["turn"] = (state["turn"] + 1) % self.num_rngs
        return after

    def nets(self, state: State) -> State:
        """Return the freshly computed bits of every LFSR and the stages of the rotator."""
        nets = {"feedback": self.group.fresh(state["s"])}
        if self.rotation == "barrel":
            nets |= self.barrel.rotate(state["s"], state["turn"])
        return nets

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""
        bus = state["s"]
        if self.rotation == "barrel":
            *_, bus = self.barrel.rotate(bus, state["turn"]).values()
        return unpack(bus, width=self.bits, count=self.num_rngs)

    def verilog(self, *, module: str = "rng") -> str:
        """Return the bank as a module; every LFSR's XORs come from one function."""
        bus = self.num_rngs * self.bits
        resets = {"s": self.group.verilog_reset()}
        nexts = {"s": self.group.verilog_next("s", turned=self.rotation == "ring")}
        body = self.group.verilog("s", module=module)
        shared = self.group.verilog_modules("s", module=module)
        if self.rotation != "barrel":
            body += [*v.registers(resets, nexts), "assign out = s;"]
            return shared + v.module(module, bus_bits=bus, body=body)
        resets["turn"] = "0"
        nexts["turn"] = f"(turn == {self.num_rngs - 1}) ? 0 : turn + 1'b1"
        body += [
            f"reg [{self.barrel.turn_bits - 1}:0] turn;",
            *v.registers(resets, nexts),
            *self.barrel.verilog_body(f"{module}_stage", bus="s"),
            "assign out = rotated;",
        ]
        stages = self.barrel.verilog_modules(f"{module}_stage")
        return shared + stages + "\n" + v.module(module, bus_bits=bus, body=body)

    def verilog_code(self, word: str) -> str:
        """Return the signed Verilog expression of a word's code."""
        flip = v.literal(1 << (self.bits - 1), bits=self.bits)
        return f"$signed({{{word} ^ {flip}, 1'b0}})"

    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""
        used = self._unseeded.resources()
        return used + self.barrel.resources() if self.rotation == "barrel" else used

    def activity(self) -> Activity:
        """Return the activity of a maximal sequence: half its bits change, plus one in 2^n - 1."""
        toggling = self._unseeded.activity
        return Activity(lut=toggling, ff=toggling)


@lru_cache(maxsize=1024)
def _group_seed(bank: LfsrBank) -> int:
    """Return a seed, derived from the bank's, for which the stream has its full period.

    Evenly spaced phases could make a rotated bank repeat early; such a draw is thrown away.
    """
    attempt = 0
    while True:
        seed = child_seed(bank.seed, attempt)
        phases = distinct_below(bank.lfsr_period, bank.num_rngs, seed=seed)
        if not (bank.rotated and _repeats_early(bank, np.array(phases))):
            return seed
        attempt += 1


def _repeats_early(bank: LfsrBank, phases: NDArray[np.int64]) -> bool:
    """Return whether the bank shows the same numbers before ``period_clocks`` have passed.

    With coprime lengths of rotation and orbit it cannot: a repeat after ``c`` clocks shifts the
    sum of all phases by ``n c``, so ``M`` divides ``c``, and distinct phases make ``n`` divide it.
    """
    if gcd(bank.num_rngs, bank.lfsr_period) == 1:
        return False
    parts = {bank.period_clocks // prime for prime in gf2.prime_factors(bank.period_clocks)}
    return any(
        np.array_equal((np.roll(phases, -clock) + clock) % bank.lfsr_period, phases)
        for clock in parts
    )


@lru_cache(maxsize=4)
def _whole_period(bank: LfsrBank) -> Words:
    return unroll(bank.period_codes())


@lru_cache(maxsize=4)
def _prolonged_orbit(bits: int, step: gf2.Map) -> Codes:
    return prolonged(2 * gf2.orbit(step, (1 << bits) - 1) - (1 << bits))
