"""A table of the inverse normal distribution: one look-up per number."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from hwmodel import gf2
from hwmodel import verilog as v
from hwmodel.block_ram import memory_resources
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range
from hwmodel.designs.lfsr_group import LfsrGroup, check_group
from hwmodel.designs.signed import decode_sign_magnitude
from hwmodel.luts import fitted_luts
from hwmodel.normal import magnitude_at, sign_magnitude_lsb
from hwmodel.resources import Resources
from hwmodel.table_counts import TableLuts, counted
from hwmodel.trace import Activity, Signal, State

# Yosys and the vendor's tool alike put small tables into LUTs.
_LARGEST_LUT_TABLE_BITS = 9


@dataclass(frozen=True, kw_only=True)
class InverseCdf(Design):
    """A uniform address looks up a magnitude; one more bit is the sign.

    Attributes:
        address_bits: Uniform bits per number, sign included, 3 to 14.
        bits: Bits per number, sign included, 2 to 16.
        state_bits: State bits of the LFSR; ``None`` is 17, or ``address_bits + 8`` if more.
        seed: From which the start state is derived.
    """

    kind = "inverse_cdf"

    address_bits: int = 8
    bits: int = 8
    state_bits: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=2, high=16)
        require(
            3 <= self.address_bits <= 14,
            law="3 <= address_bits <= 14",
            got=f"address_bits={self.address_bits}",
            fix="the table has 2**(address_bits - 1) words",
        )
        if self.state_bits is None:
            object.__setattr__(self, "state_bits", max(17, self.address_bits + 8))
        require(
            self.group.bits >= self.address_bits,
            law="address_bits <= state_bits",
            got=f"address_bits={self.address_bits}, state_bits={self.state_bits}",
            fix="the state must hold the address",
        )
        check_group(self.group)

    @property
    def group(self) -> LfsrGroup:
        """Return the LFSR that makes the addresses."""
        assert self.state_bits is not None
        leap = gf2.coprime_leap(self.state_bits, at_least=self.address_bits)
        return LfsrGroup(count=1, bits=self.state_bits, leap=leap, seed=self.seed)

    @property
    def table(self) -> tuple[int, ...]:
        """Return the magnitudes, one per equally likely slice of half the normal law."""
        return _magnitudes(1 << (self.address_bits - 1), self.bits - 1)

    @property
    def in_block_ram(self) -> bool:
        """Return whether the table is large enough for a block RAM."""
        return self.address_bits - 1 > _LARGEST_LUT_TABLE_BITS

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"inverse CDF {self.address_bits}->{self.bits}"

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
        """Return what one unit of a code is worth in standard deviations."""
        return sign_magnitude_lsb(self.bits)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus: sign above magnitude."""
        return self.bits

    @property
    def latency_clocks(self) -> int:
        """Return the clock of the look-up."""
        return 1

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        words = self.group.states(0, np.arange(start, start + length))
        place = words & ((1 << (self.address_bits - 1)) - 1)
        sign = words >> (self.address_bits - 1) & 1
        return self.decode(np.array(self.table)[place] | sign << (self.bits - 1))

    def decode(self, words: Words) -> Codes:
        """Return the odd codes of sign and magnitude."""
        return decode_sign_magnitude(words, bits=self.bits)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        found = {
            "x": Signal(self.group.bits, "ff"),
            "feedback": Signal(self.group.fresh_bits, "lut"),
            "sign": Signal(1, "ff"),
            "magnitude": Signal(self.bits - 1, "bram" if self.in_block_ram else "ff"),
        }
        return found if self.in_block_ram else found | {"looked_up": Signal(self.bits - 1, "lut")}

    def reset(self) -> State:
        """Return the registers after reset."""
        return {"x": self.group.reset(), "sign": 0, "magnitude": 0}

    def _looked_up(self, state: State) -> int:
        return self.table[state["x"] & ((1 << (self.address_bits - 1)) - 1)]

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        sign = state["x"] >> (self.address_bits - 1) & 1
        looked_up = self._looked_up(state)
        return {"x": self.group.clock(state["x"]), "sign": sign, "magnitude": looked_up}

    def nets(self, state: State) -> State:
        """Return the freshly computed bits and the table's output."""
        nets = {"feedback": self.group.fresh(state["x"])}
        return nets if self.in_block_ram else nets | {"looked_up": self._looked_up(state)}

    def words(self, state: State) -> list[int]:
        """Return the word on the output bus."""
        return [state["magnitude"] | state["sign"] << (self.bits - 1)]

    def verilog(self, *, module: str = "rng") -> str:
        """Return the generator as a module."""
        place_bits, width = self.address_bits - 1, self.bits - 1
        place = f"x[{place_bits - 1}:0]"
        if self.in_block_ram:
            table = v.memory("table_of", self.table, width=width)
            looked_up = f"table_of[{place}]"
        else:
            table = v.table_function("table_of", self.table, index_bits=place_bits, width=width)
            looked_up = f"table_of({place})"
        body = [
            *self.group.verilog("x", module=module),
            *table,
            f"reg sign;\n  reg [{width - 1}:0] magnitude;",
            *v.registers({"x": self.group.verilog_reset()}, {"x": self.group.verilog_next("x")}),
            *v.pipeline({"sign": f"x[{place_bits}]", "magnitude": looked_up}),
            "assign out = {sign, magnitude};",
        ]
        shared = self.group.verilog_modules("x", module=module)
        return shared + v.module(module, bus_bits=self.bits, body=body)

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return self.bits - 1 if self.in_block_ram else 0

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: the LFSR, the table, the output register."""
        lut = fitted_luts(self.lut_terms())
        if self.in_block_ram:
            memory = memory_resources(1 << (self.address_bits - 1), width=self.bits - 1)
            return Resources(lut=lut, ff=self.group.bits + 1) + memory
        return Resources(lut=lut, ff=self.group.bits + 1 + self._table.registers)

    @property
    def _table(self) -> TableLuts:
        return counted(self.kind, self.address_bits, self.bits)

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients."""
        feed = self.group.resources().lut
        if self.in_block_ram:
            return {"lut": feed}
        return {"lut": feed + self._table.narrow, "magnitude_table": self._table.wide}

    def activity(self) -> Activity:
        """Return the activity of random addresses and of the magnitudes they look up."""
        table = self._table.toggles
        if self.in_block_ram:
            return Activity(lut=0.5, ff=0.5, bram=table)
        random, looked_up = self.group.bits + 1, self.bits - 1
        ff = (0.5 * random + table * looked_up) / (random + looked_up)
        feed, luts = self.group.resources().lut, self._table.narrow + self._table.wide
        return Activity(lut=(0.5 * feed + table * luts) / (feed + luts), ff=ff)


@cache
def _magnitudes(words: int, magnitude_bits: int) -> tuple[int, ...]:
    fractions = ((word + 0.5) / words for word in range(words))
    return tuple(magnitude_at(part, magnitude_bits=magnitude_bits) for part in fractions)
