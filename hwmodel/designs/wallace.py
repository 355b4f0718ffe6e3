"""A pool that is stirred while it is read: Gaussian numbers from orthogonal transforms."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hwmodel import verilog as v
from hwmodel.block_ram import memory_resources
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range, index_bits
from hwmodel.hashing import splitmix64
from hwmodel.luts import fitted_luts
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State, pack, unpack

LANES = 4

# Where the delay lines of results 1 to 3 end.
_LINE_ENDS = [f"late{k}_0" for k in range(1, LANES)]

# A number of b bits reaches this many standard deviations before it wraps.
_REACH_SIGMA = 8


@dataclass(frozen=True, kw_only=True)
class WallaceHadamard(Design):
    """Four numbers per clock leave a pool, through a Hadamard transform that also refills it.

    A word of four numbers is read, each number is subtracted from half their sum (an orthogonal
    transform, so a pool of normal numbers stays one), and the results leave and are written back.
    Result ``k`` is written ``k`` clocks later than result 0, or else the same four numbers would
    meet for ever. The half is rounded up and down in turns, which keeps the mean; rounding adds
    an eighth of a squared unit of variance per pass.

    Attributes:
        depth: Words of four numbers, an even number, 8 to 4096.
        bits: Bits per number, 6 to 18.
        seed: From which the first contents are derived.
    """

    kind = "wallace_hadamard"

    depth: int = 1024
    bits: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=6, high=18)
        require(
            8 <= self.depth <= 4096 and self.depth % 2 == 0,
            law="8 <= depth <= 4096 and depth % 2 == 0",
            got=f"depth={self.depth}",
            fix="half of the words are rounded up, the other half down",
        )

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"Wallace-Hadamard {self.depth}x{LANES}x{self.bits}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return LANES

    @property
    def period_clocks(self) -> None:
        """Return ``None``: nobody knows a formula for the period of such a pool."""
        return None

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth in standard deviations."""
        return _REACH_SIGMA / 2 ** (self.bits - 1)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus, two's complement."""
        return self.bits

    @property
    def latency_clocks(self) -> int:
        """Return the clock that a block RAM takes to read."""
        return 1

    @property
    def contents(self) -> NDArray[np.int64]:
        """Return the first contents of the pool, shape ``(depth, 4)``."""
        return _contents(self)

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream.

        There is no closed form: every pass before ``start`` is made, at array speed.
        """
        check_range(start, length)
        passes = -(-(start + length) // (LANES * self.depth))
        before = np.zeros((LANES, LANES), dtype=np.int64)
        pool, rows = self.contents, []
        for _ in range(passes):
            stirred = self._stir(pool)
            rows.append(stirred)
            late = np.concatenate([before, stirred])
            pool = np.stack(
                [late[LANES - k : LANES - k + self.depth, k] for k in range(LANES)], axis=1
            )
            before = stirred[-LANES:]
        flat = np.concatenate(rows).reshape(-1) if rows else np.zeros(0)
        return flat[start : start + length].astype(np.int32)

    def _stir(self, words: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the transform of every word of a pass, wrapped to the width of a number."""
        up = np.arange(self.depth)[:, None] & 1
        stirred = (words.sum(axis=1, keepdims=True) + up >> 1) - words
        return self.decode(stirred & ((1 << self.bits) - 1)).astype(np.int64)

    def decode(self, words: Words) -> Codes:
        """Return the two's complement value."""
        return (words - (words >> (self.bits - 1) << self.bits)).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model, without the memory's cells."""
        address = Signal(index_bits(self.depth), "ff")
        return {
            "address": address,
            "written": address,
            "full": Signal(1, "ff"),
            "late": Signal(sum(range(LANES)) * self.bits, "ff"),
            "word": Signal(LANES * self.bits, "bram"),
            "stirred": Signal(LANES * self.bits, "lut"),
        }

    def reset(self) -> State:
        """Return the registers after reset, and the memory as one packed number."""
        mask = (1 << self.bits) - 1
        cells = [code & mask for code in self.contents.reshape(-1).tolist()]
        registers = dict.fromkeys(["address", "written", "full", "late", "word"], 0)
        return registers | {"memory": pack(cells, width=self.bits)}

    def nets(self, state: State) -> State:
        """Return the transform of the word that was read."""
        mask = (1 << self.bits) - 1
        words = unpack(state["word"], width=self.bits, count=LANES)
        signed = [word - (word >> (self.bits - 1) << self.bits) for word in words]
        half = sum(signed) + (state["written"] & 1) >> 1
        return {"stirred": pack([half - word & mask for word in signed], width=self.bits)}

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        stirred = unpack(self.nets(state)["stirred"], width=self.bits, count=LANES)
        delays = unpack(state["late"], width=self.bits, count=sum(range(LANES)))
        leaving, staying = [stirred[0]], []
        for k in range(1, LANES):
            line, delays = [*delays[:k], stirred[k]], delays[k:]
            leaving.append(line[0])
            staying += line[1:]
        memory, width = state["memory"], LANES * self.bits
        word = memory >> (state["address"] * width) & ((1 << width) - 1)
        if state["full"]:
            memory = _store(memory, pack(leaving, width=self.bits), state["written"], width)
        return {
            "address": (state["address"] + 1) % self.depth,
            "written": state["address"],
            "full": 1,
            "late": pack(staying, width=self.bits) if state["full"] else 0,
            "word": word,
            "memory": memory,
        }

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""
        return unpack(self.nets(state)["stirred"], width=self.bits, count=LANES)

    def verilog(self, *, module: str = "rng") -> str:
        """Return the generator as a module with a block RAM of one read and one write port."""
        bus = LANES * self.bits
        cells = (self.contents & ((1 << self.bits) - 1)).tolist()
        body = [
            *v.memory("memory", [pack(row, width=self.bits) for row in cells], width=bus),
            f"reg [{bus - 1}:0] word;",
            f"reg [{index_bits(self.depth) - 1}:0] address, written;",
            "reg full;",
            *self._verilog_transform(),
            *self._verilog_delays(),
            "always @(posedge clk)",
            "  if (en) begin",
            "    word <= memory[address];",
            f"    if (full) memory[written] <= {v.concat(['stirred0', *_LINE_ENDS])};",
            "  end",
            f"assign out = {v.concat([f'stirred{k}' for k in range(LANES)])};",
        ]
        return v.module(module, bus_bits=bus, body=body)

    def _verilog_transform(self) -> list[str]:
        """Return the lines that subtract each number from half the sum, rounded in turns."""
        b = self.bits
        words = [(k, v.part("word", k, width=b)) for k in range(LANES)]
        return [
            *(f"wire signed [{b - 1}:0] in{k} = {word};" for k, word in words),
            f"wire signed [{b}:0] left = in0 + in1;",
            f"wire signed [{b}:0] right = in2 + in3;",
            "wire up = written[0];",
            f"wire signed [{b + 2}:0] total = $signed({{left, 1'b1}}) + $signed({{right, up}});",
            f"wire signed [{b}:0] half = total[{b + 2}:2];",
            *(f"wire [{b - 1}:0] stirred{k} = half - in{k};" for k in range(LANES)),
        ]

    def _verilog_delays(self) -> list[str]:
        """Return the lines of the addresses and of a delay line of ``k`` clocks per result."""
        lines = {
            f"late{k}_{i}": f"late{k}_{i + 1}" if i + 1 < k else f"full ? stirred{k} : 0"
            for k in range(1, LANES)
            for i in range(k)
        }
        nexts = {
            "address": f"(address == {self.depth - 1}) ? 0 : address + 1'b1",
            "written": "address",
            "full": "1'b1",
        } | lines
        declared = f"reg [{self.bits - 1}:0] {', '.join(lines)};"
        return [declared, *v.registers(dict.fromkeys(nexts, "0"), nexts)]

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return LANES * self.bits

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: sum, differences, delays, addresses, memory."""
        return Resources(
            lut=fitted_luts(self.lut_terms()),
            ff=2 * index_bits(self.depth) + 1 + sum(range(LANES)) * self.bits + self._memory.ff,
            bram=self._memory.bram,
        )

    @property
    def _memory(self) -> Resources:
        return memory_resources(self.depth, width=LANES * self.bits, written=True)

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients.

        Per bit there are four differences, three sums and three delay lines that are cleared; a
        counter that wraps clears the bits set in ``depth``.
        """
        cleared = self.depth.bit_count() if self.depth.bit_count() > 1 else 0
        return {"lut": 10 * self.bits + cleared + self._memory.lut, "hadamard_rest": 1}

    def activity(self) -> Activity:
        """Return the activity of random data and of two binary counters."""
        late, counting = sum(range(LANES)) * self.bits, 2 * index_bits(self.depth) + 1
        ff = (0.5 * late + 4) / (late + counting)
        return Activity(lut=0.5, ff=ff, bram=0.5)


def _store(memory: int, word: int, place: int, width: int) -> int:
    before = memory >> (place * width) & ((1 << width) - 1)
    return memory ^ (before ^ word) << (place * width)


@lru_cache(maxsize=8)
def _contents(design: WallaceHadamard) -> NDArray[np.int64]:
    """Return normal codes of exactly unit variance, as nearly as rounding lets."""
    words = splitmix64(design.seed, LANES * design.depth)
    uniform = (words.astype(np.float64) + 0.5) / 2.0**64
    normal = NormalDist()
    drawn = np.array([normal.inv_cdf(min(u, 1 - 1e-15)) for u in uniform.tolist()])
    scaled = (drawn - drawn.mean()) / drawn.std() / design.lsb
    return np.rint(scaled).astype(np.int64).reshape(design.depth, LANES)
