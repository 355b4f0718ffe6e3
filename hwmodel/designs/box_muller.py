"""Radius and angle from two tables, multiplied: the classic Gaussian pair."""

from dataclasses import dataclass
from functools import cache, cached_property
from math import cos, lcm, log, pi, sin, sqrt

import numpy as np

from hwmodel import gf2
from hwmodel import verilog as v
from hwmodel.block_ram import memory_resources
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range
from hwmodel.designs.lfsr_group import LfsrGroup
from hwmodel.luts import fitted_luts
from hwmodel.resources import Resources
from hwmodel.table_counts import TableLuts, counted
from hwmodel.trace import Activity, Signal, State


@dataclass(frozen=True, kw_only=True)
class BoxMuller(Design):
    """Two Gaussian numbers per clock, ``r cos(a)`` and ``r sin(a)``.

    The radius table is in block RAM, the table of cosines and sines in logic, the products in DSP
    slices. A product is cut, not rounded, and its code ``2 word + 1`` puts back the half unit.

    Attributes:
        bits: Bits of the tables' words, 6 to 16.
        radius_bits: Address bits of the radius table, 4 to 10.
        angle_bits: Address bits of the angle table, 4 to 8.
        seed: From which the start states are derived.
    """

    kind = "box_muller"

    bits: int = 12
    radius_bits: int = 10
    angle_bits: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=6, high=16)
        require(
            4 <= self.radius_bits <= 10 and 4 <= self.angle_bits <= 8,
            law="4 <= radius_bits <= 10 and 4 <= angle_bits <= 8",
            got=f"radius_bits={self.radius_bits}, angle_bits={self.angle_bits}",
            fix="a finer radius would pass four standard deviations, a finer angle outgrow logic",
        )

    @cached_property
    def lfsrs(self) -> dict[str, LfsrGroup]:
        """Return the LFSRs of radius and angle, of different widths so that they never lock."""
        widths = {"x": (17, self.radius_bits), "y": (20, self.angle_bits)}
        return {
            name: LfsrGroup(
                count=1,
                bits=width,
                leap=gf2.coprime_leap(width, at_least=address_bits),
                seed=self.seed,
            )
            for name, (width, address_bits) in widths.items()
        }

    @cached_property
    def radii(self) -> tuple[int, ...]:
        """Return ``sqrt(-2 ln u)`` in units of ``2**(2 - bits)``, unsigned."""
        words = 1 << self.radius_bits
        unit = 2.0 ** (2 - self.bits)
        return tuple(round(sqrt(-2 * log((i + 0.5) / words)) / unit) for i in range(words))

    @property
    def turns(self) -> tuple[tuple[int, int], ...]:
        """Return cosine and sine in units of their full scale, signed."""
        return _turns(self.bits, self.angle_bits)

    @property
    def turn_words(self) -> tuple[int, ...]:
        """Return cosine and sine as they are stored, the sine above."""
        return _turn_words(self.bits, self.angle_bits)

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"Box-Muller {self.radius_bits}+{self.angle_bits}->{self.bits}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return 2

    @property
    def period_clocks(self) -> int:
        """Return the clocks after which the stream repeats."""
        return lcm(*(lfsr.period for lfsr in self.lfsrs.values()))

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth in standard deviations."""
        return 2.0 ** (1 - self.bits)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus, two's complement."""
        return self.bits + 1

    @property
    def latency_clocks(self) -> int:
        """Return the clocks of look-up and product."""
        return 2

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        clocks = np.arange(start // 2, (start + length + 1) // 2)
        places = {
            "x": self.lfsrs["x"].states(0, clocks) & ((1 << self.radius_bits) - 1),
            "y": self.lfsrs["y"].states(0, clocks) & ((1 << self.angle_bits) - 1),
        }
        radius = np.array(self.radii)[places["x"], None]
        words = (radius * np.array(self.turns)[places["y"]]) >> (self.bits - 1)
        return (2 * words + 1).astype(np.int32).reshape(-1)[start % 2 : start % 2 + length]

    def decode(self, words: Words) -> Codes:
        """Return the odd codes of words in two's complement."""
        value = words - (words >> self.bits << (self.bits + 1))
        return (2 * value + 1).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model; a DSP slice keeps its own."""
        found = {name: Signal(lfsr.bits, "ff") for name, lfsr in self.lfsrs.items()}
        for name, lfsr in self.lfsrs.items():
            found[f"feedback_{name}"] = Signal(lfsr.fresh_bits, "lut")
        found["turn"] = Signal(2 * self.bits, "lut")
        return found | {
            "radius": Signal(self.bits, "bram"),
            "factors": Signal(2 * self.bits, "dsp"),
            "products": Signal(2 * self.word_bits, "dsp"),
        }

    def reset(self) -> State:
        """Return the registers after reset."""
        starts = {name: lfsr.reset() for name, lfsr in self.lfsrs.items()}
        return starts | {"radius": 0, "factors": 0, "products": 0}

    def _turn(self, state: State) -> int:
        return self.turn_words[state["y"] & ((1 << self.angle_bits) - 1)]

    def _products(self, state: State) -> int:
        """Return both products of the registered factors, cut to the width of a word."""
        packed, mask = 0, (1 << self.word_bits) - 1
        for place in range(2):
            factor = state["factors"] >> (place * self.bits) & ((1 << self.bits) - 1)
            factor -= factor >> (self.bits - 1) << self.bits
            word = state["radius"] * factor >> (self.bits - 1)
            packed |= (word & mask) << (place * self.word_bits)
        return packed

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        after = {name: lfsr.clock(state[name]) for name, lfsr in self.lfsrs.items()}
        return after | {
            "radius": self.radii[state["x"] & ((1 << self.radius_bits) - 1)],
            "factors": self._turn(state),
            "products": self._products(state),
        }

    def nets(self, state: State) -> State:
        """Return the freshly computed bits and the angle table's output."""
        nets = {f"feedback_{name}": lfsr.fresh(state[name]) for name, lfsr in self.lfsrs.items()}
        return nets | {"turn": self._turn(state)}

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, the cosine's first."""
        mask = (1 << self.word_bits) - 1
        return [state["products"] & mask, state["products"] >> self.word_bits]

    def verilog(self, *, module: str = "rng") -> str:
        """Return the generator as a module.

        The angle table's hierarchy is kept. Else Yosys makes synchronous resets of some of its
        bits, and a register with resets of its own does not fit the one inside a DSP slice.
        """
        b, w, cut = self.bits, self.word_bits, self.bits - 1
        body = [
            line for name, lfsr in self.lfsrs.items() for line in lfsr.verilog(name, module=module)
        ]
        body += [
            *v.memory("radius_of", self.radii, width=b),
            f"wire [{2 * b - 1}:0] turn;",
            f"{module}_turn turn_of (y[{self.angle_bits - 1}:0], turn);",
            f"reg [{b - 1}:0] radius;",
            f"reg signed [{b - 1}:0] cosine, sine;",
            f"reg signed [{2 * b}:0] first, second;",
            *v.registers(
                {name: lfsr.verilog_reset() for name, lfsr in self.lfsrs.items()},
                {name: lfsr.verilog_next(name) for name, lfsr in self.lfsrs.items()},
            ),
            *v.pipeline(
                {
                    "radius": f"radius_of[x[{self.radius_bits - 1}:0]]",
                    "cosine": f"turn[{b - 1}:0]",
                    "sine": f"turn[{2 * b - 1}:{b}]",
                    "first": "$signed({1'b0, radius}) * cosine",
                    "second": "$signed({1'b0, radius}) * sine",
                }
            ),
            f"assign out = {{second[{cut + w - 1}:{cut}], first[{cut + w - 1}:{cut}]}};",
        ]
        shared = [lfsr.verilog_modules(name, module=module) for name, lfsr in self.lfsrs.items()]
        table = v.table_module(
            f"{module}_turn", self.turn_words, index_bits=self.angle_bits, width=2 * b
        )
        return "".join([*shared, table]) + v.module(module, bus_bits=2 * w, body=body)

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return self.bits

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: two LFSRs, two tables, two DSP slices."""
        registers = sum(lfsr.bits for lfsr in self.lfsrs.values())
        logic = Resources(lut=fitted_luts(self.lut_terms()), ff=registers, dsp=2)
        return logic + memory_resources(1 << self.radius_bits, width=self.bits)

    @property
    def _table(self) -> TableLuts:
        return counted(self.kind, self.angle_bits, self.bits)

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients."""
        lfsrs = sum(lfsr.resources().lut for lfsr in self.lfsrs.values())
        return {"lut": lfsrs + self._table.narrow, "turn_table": self._table.wide}

    def activity(self) -> Activity:
        """Return the activity of random data."""
        return Activity(lut=0.5, ff=0.5, bram=0.5)


@cache
def _turns(bits: int, angle_bits: int) -> tuple[tuple[int, int], ...]:
    words, full = 1 << angle_bits, (1 << (bits - 1)) - 1
    angles = [2 * pi * (i + 0.5) / words for i in range(words)]
    return tuple((round(full * cos(a)), round(full * sin(a))) for a in angles)


@cache
def _turn_words(bits: int, angle_bits: int) -> tuple[int, ...]:
    mask = (1 << bits) - 1
    return tuple(c & mask | (s & mask) << bits for c, s in _turns(bits, angle_bits))
