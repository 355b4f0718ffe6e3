"""A walk down a binary tree of probabilities: the state of the art in Gaussian generators.

Written from the description of TreeGRNG (KU Leuven, ASP-DAC 2024): each bit of the number, most
significant first, compares a random word of its own with the probability of that branch.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import lcm

import numpy as np
from numpy.typing import NDArray

from hwmodel import verilog as v
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range
from hwmodel.designs.lfsr_group import LfsrGroup
from hwmodel.designs.signed import decode_sign_magnitude
from hwmodel.hashing import child_seed
from hwmodel.luts import fitted_luts
from hwmodel.normal import cell_masses, sign_magnitude_lsb
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State

# Widths of the LFSRs of successive levels, as in the authors' synthesis log of their 8-bit
# example (68 flip-flops). Neighbours of different width keep the levels out of step.
_LEVEL_WIDTHS = (8, 9, 10, 7)


@dataclass(frozen=True, kw_only=True)
class TreeGrng(Design):
    """A Gaussian number per clock, its bits decided one after the other.

    Attributes:
        bits: Bits per number, sign included, 2 to 10.
        seed: From which the start states of the LFSRs are derived.
    """

    kind = "tree_grng"

    bits: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=2, high=10)

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of the LFSR of every level, sign first."""
        return tuple(_LEVEL_WIDTHS[level % 4] for level in range(self.bits))

    @cached_property
    def lfsrs(self) -> tuple[LfsrGroup, ...]:
        """Return the LFSR of every level; those of equal width start at different phases."""
        groups: list[LfsrGroup] = []
        attempt = 0
        while len(groups) < self.bits:
            width = self.widths[len(groups)]
            seed = child_seed(self.seed, attempt)
            drawn = LfsrGroup(count=1, bits=width, leap=1, seed=seed)
            twins = [group for group in groups if group.bits == width]
            if all(twin.phases != drawn.phases for twin in twins):
                groups.append(drawn)
            attempt += 1
        return tuple(groups)

    @property
    def thresholds(self) -> tuple[tuple[int, ...], ...]:
        """Return, by level and bits decided so far, the largest word that means 0."""
        return _thresholds(self.widths)

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"tree GRNG {self.bits}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return 1

    @property
    def period_clocks(self) -> int:
        """Return the clocks after which the stream repeats."""
        return lcm(*((1 << width) - 1 for width in self.widths))

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth in standard deviations."""
        return sign_magnitude_lsb(self.bits)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus: sign above magnitude."""
        return self.bits

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        clocks = np.arange(start, start + length)
        sign = self._decide(0, np.zeros(length, dtype=np.int64), clocks)
        magnitude = np.zeros(length, dtype=np.int64)
        for level in range(1, self.bits):
            magnitude = 2 * magnitude + self._decide(level, magnitude, clocks)
        return self.decode(sign << (self.bits - 1) | magnitude)

    def _decide(
        self, level: int, prefix: NDArray[np.int64], clocks: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        drawn = self.lfsrs[level].states(0, clocks)
        return (drawn > np.array(self.thresholds[level])[prefix]).astype(np.int64)

    def decode(self, words: Words) -> Codes:
        """Return the odd codes of sign and magnitude."""
        return decode_sign_magnitude(words, bits=self.bits)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        found = {}
        for level, width in enumerate(self.widths):
            found[f"x{level}"] = Signal(width, "ff")
            found[f"feedback{level}"] = Signal(1, "lut")
            found[f"threshold{level}"] = Signal(width if level > 1 else 0, "lut")
            found[f"bit{level}"] = Signal(1, "lut")
        return found

    def reset(self) -> State:
        """Return the registers after reset."""
        return {f"x{level}": lfsr.reset() for level, lfsr in enumerate(self.lfsrs)}

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        levels = enumerate(self.lfsrs)
        return {f"x{level}": lfsr.clock(state[f"x{level}"]) for level, lfsr in levels}

    def nets(self, state: State) -> State:
        """Return every level's feedback, threshold and decision."""
        nets, prefix = {}, 0
        for level, lfsr in enumerate(self.lfsrs):
            drawn, threshold = state[f"x{level}"], self.thresholds[level][prefix]
            nets[f"feedback{level}"] = lfsr.fresh(drawn)
            nets[f"threshold{level}"] = threshold
            nets[f"bit{level}"] = int(drawn > threshold)
            prefix = 2 * prefix + nets[f"bit{level}"] if level else 0
        return nets

    def words(self, state: State) -> list[int]:
        """Return the word on the output bus."""
        nets = self.nets(state)
        decided = [nets[f"bit{level}"] for level in range(self.bits)]
        return [int("".join(map(str, decided)), 2)]

    def verilog(self, *, module: str = "rng") -> str:
        """Return the generator as a module."""
        groups = list(enumerate(self.lfsrs))
        body = [
            line for level, lfsr in groups for line in lfsr.verilog(f"x{level}", module=module)
        ]
        for level in range(self.bits):
            body += self._verilog_level(level)
        body += v.registers(
            {f"x{level}": lfsr.verilog_reset() for level, lfsr in groups},
            {f"x{level}": lfsr.verilog_next(f"x{level}") for level, lfsr in groups},
        )
        body.append(f"assign out = {v.concat([f'bit{i}' for i in reversed(range(self.bits))])};")
        shared = [lfsr.verilog_modules(f"x{level}", module=module) for level, lfsr in groups]
        return "".join(shared) + v.module(module, bus_bits=self.bits, body=body)

    def _verilog_level(self, level: int) -> list[str]:
        width, table = self.widths[level], self.thresholds[level]
        if len(table) == 1:
            return [f"wire bit{level} = x{level} > {v.literal(table[0], bits=width)};"]
        prefix = v.concat([f"bit{i}" for i in range(level - 1, 0, -1)])
        lookup = v.table_function(f"threshold{level}", table, index_bits=level - 1, width=width)
        return [*lookup, f"wire bit{level} = x{level} > threshold{level}({prefix});"]

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: LFSRs, thresholds in logic, comparators."""
        return Resources(lut=fitted_luts(self.lut_terms()), ff=sum(self.widths))

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs by level: there are nine shapes, and each was synthesised.

        A level costs the same in every tree that has it; every LFSR is one LUT.
        """
        levels = {f"tree_level_{level}": 1.0 for level in range(1, self.bits)}
        return {"lut": float(self.bits)} | levels

    def activity(self) -> Activity:
        """Return the activity of LFSRs, and of LUTs as measured on mapped netlists."""
        return Activity(lut=0.29, ff=0.5)


@cache
def _thresholds(widths: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    masses = np.array(cell_masses(len(widths) - 1))
    levels = [((1 << widths[0]) // 2 - 1,)]
    for level, width in enumerate(widths[1:]):
        halves = masses.reshape(1 << level, 2, -1).sum(axis=2)
        share = halves[:, 0] / halves.sum(axis=1)
        levels.append(tuple(round(part * ((1 << width) - 1)) for part in share.tolist()))
    return tuple(levels)
