"""A pool of stored numbers, read round and round: the pre-generated perturbation source."""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from hwmodel import verilog as v
from hwmodel.block_ram import memory_resources
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_bits, check_range, index_bits
from hwmodel.hashing import child_seed, splitmix64
from hwmodel.luts import counter_luts
from hwmodel.resources import ZCU102, Resources
from hwmodel.tiling import read_cyclic, unroll
from hwmodel.trace import Activity, Signal, State, pack, unpack

# Bits per clock from one port of every block RAM of a large device, 72 bits each.
_PORT_BITS = ZCU102.bram * 72


@dataclass(frozen=True, kw_only=True)
class Pool(Design):
    """``size`` numbers in block RAM, ``lanes`` of them read per clock.

    One memory word holds the ``lanes`` numbers of one clock. When ``lanes`` divides ``size`` the
    memory holds the pool once. Otherwise a pass over the pool ends within a word, and the memory
    holds as many passes as it takes to end on a word again: ``lanes / gcd(size, lanes)`` of them.

    Attributes:
        size: Numbers in the pool; a prime has no common factor with any model.
        bits: Bits per number, 1 to 24; one bit means the codes +1 and -1.
        lanes: Numbers per clock.
        seed: From which the contents are derived.
    """

    kind = "pool"

    size: int = 4093
    bits: int = 8
    lanes: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.bits, low=1, high=24)
        require(
            2 <= self.size <= 1 << 24,
            law="2 <= size <= 2**24",
            got=f"size={self.size}",
            fix="a pool needs two numbers for a zero mean, and must fit a device's block RAM",
        )
        require(
            1 <= self.lanes < self.size,
            law="1 <= lanes < size",
            got=f"lanes={self.lanes}, size={self.size}",
            fix="it would show the same numbers for ever; broadcast a narrow pool instead",
        )
        require(
            self.lanes * self.bits <= _PORT_BITS,
            law=f"lanes * bits <= {_PORT_BITS}",
            got=f"lanes={self.lanes}, bits={self.bits}",
            fix=f"no more leaves the block RAM of a {ZCU102.name} per clock; broadcast a narrow "
            "pool instead",
        )

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"pool {self.size}x{self.bits}, {self.lanes} per clock"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return self.lanes

    @property
    def depth(self) -> int:
        """Return the words of the memory."""
        return self.size // gcd(self.size, self.lanes)

    @property
    def period_clocks(self) -> int:
        """Return the clocks after which the memory is read again from its start."""
        return self.depth

    @property
    def period(self) -> int:
        """Return the numbers after which the stream repeats."""
        return self.size

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return 2.0 ** -max(0, self.bits - 1)

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""
        return self.bits

    @property
    def latency_clocks(self) -> int:
        """Return the clock that a block RAM takes to read."""
        return 1

    @property
    def contents(self) -> Codes:
        """Return the stored codes, shape ``(size,)``, of sum zero (or one, if parity forbids)."""
        return _contents(self.size, self.bits, self.seed)

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        return read_cyclic(_unrolled(self.size, self.bits, self.seed), start, length)

    def decode(self, words: Words) -> Codes:
        """Return the two's complement value; of one bit, +1 and -1."""
        if self.bits == 1:
            return (1 - 2 * words).astype(np.int32)
        return (words - ((words >> (self.bits - 1)) << self.bits)).astype(np.int32)

    @property
    def _memory(self) -> tuple[int, ...]:
        return _memory(self)

    def signals(self) -> dict[str, Signal]:
        """Return the registers of the cycle model; the memory's output belongs to the memory."""
        return {
            "address": Signal(index_bits(self.depth), "ff"),
            "word": Signal(self.lanes * self.bits, "bram"),
        }

    def reset(self) -> State:
        """Return the registers after reset."""
        return {"address": 0, "word": 0}

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        following = (state["address"] + 1) % self.depth
        return {"address": following, "word": self._memory[state["address"]]}

    def nets(self, state: State) -> State:
        """Return no nets: only the address counter has logic, and it is all registers."""
        return {}

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""
        return unpack(state["word"], width=self.bits, count=self.lanes)

    def verilog(self, *, module: str = "rng") -> str:
        """Return the pool as a module with an initialised block RAM."""
        bus, address_bits = self.lanes * self.bits, index_bits(self.depth)
        wrap = f"(address == {self.depth - 1}) ? 0 : address + 1'b1"
        body = [
            *v.memory("memory", self._memory, width=bus),
            f"reg [{bus - 1}:0] word;",
            f"reg [{address_bits - 1}:0] address;",
            *v.registers({"address": "0"}, {"address": wrap}),
            "always @(posedge clk)",
            "  if (en) word <= memory[address];",
            "assign out = word;",
        ]
        return v.module(module, bus_bits=bus, body=body)

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return self.lanes * self.bits

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: a counter and the memory."""
        counter = Resources(lut=counter_luts(self.depth), ff=index_bits(self.depth))
        return counter + memory_resources(self.depth, width=self.lanes * self.bits)

    def activity(self) -> Activity:
        """Return the activity of a binary counter and of unrelated words."""
        address_bits = index_bits(self.depth)
        counter = sum(0.5**place for place in range(address_bits)) / address_bits
        ones = (1 << (self.bits - 1)) / max(2, (1 << self.bits) - 1)
        return Activity(lut=counter, ff=counter, bram=2 * ones * (1 - ones))

    def numbers_per_step(self, num_weights: int) -> int:
        """Return how far a perturbation moves the stream: its leftover begins the next one."""
        return num_weights

    def verilog_code(self, word: str) -> str:
        """Return the signed Verilog expression of a word's code."""
        return f"$signed({word})" if self.bits > 1 else f"({word} ? -1 : 1)"


@lru_cache(maxsize=32)
def _contents(size: int, bits: int, seed: int) -> Codes:
    """Return a pool's codes; a draw that repeats within itself is thrown away."""
    attempt = 0
    while True:
        draws = splitmix64(child_seed(seed, attempt), size)
        codes = _signs(draws) if bits == 1 else _levels(draws, high=(1 << (bits - 1)) - 1)
        if not _repeats_within(codes):
            return codes.astype(np.int32)
        attempt += 1


def _signs(draws: NDArray[np.uint64]) -> NDArray[np.int64]:
    return _balanced(1 - 2 * (draws & np.uint64(1)).astype(np.int64), high=1, step=2)


def _levels(draws: NDArray[np.uint64], *, high: int) -> NDArray[np.int64]:
    codes = (draws % np.uint64(2 * high + 1)).astype(np.int64) - high
    return _balanced(codes, high=high, step=1)


def _balanced(codes: NDArray[np.int64], *, high: int, step: int) -> NDArray[np.int64]:
    """Return the codes, some moved by ``step`` so that they sum to zero (or to one, if odd)."""
    excess = int(codes.sum())
    sign = 1 if excess > 0 else -1
    while abs(excess) >= step:
        movable = np.flatnonzero(codes != -sign * high)
        movers = movable[: abs(excess) // step]
        codes[movers] -= sign * step
        excess -= sign * step * movers.size
    return codes


def _repeats_within(codes: NDArray[np.int64]) -> bool:
    divisors = (part for part in range(1, codes.size // 2 + 1) if codes.size % part == 0)
    return any(np.array_equal(np.roll(codes, part), codes) for part in divisors)


@lru_cache(maxsize=32)
def _unrolled(size: int, bits: int, seed: int) -> Codes:
    return unroll(_contents(size, bits, seed))


@lru_cache(maxsize=8)
def _memory(pool: Pool) -> tuple[int, ...]:
    """Return the memory's words: the pool passed as often as it takes to end on a word."""
    codes = pool.codes(0, pool.depth * pool.lanes).astype(np.int64)
    words = (codes < 0) if pool.bits == 1 else codes & ((1 << pool.bits) - 1)
    rows = words.astype(np.int64).reshape(pool.depth, pool.lanes)
    return tuple(pack(row, width=pool.bits) for row in rows.tolist())
