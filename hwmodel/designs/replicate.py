"""Many copies of one design side by side: how a baseline gets its lanes."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from hwmodel import verilog as v
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words, check_range
from hwmodel.hashing import child_seed
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State


@dataclass(frozen=True, kw_only=True)
class Replicate(Design):
    """``lanes`` copies of ``design`` with seeds of their own, all clocked together.

    Attributes:
        design: What is copied.
        lanes: How many copies.
    """

    kind = "replicate"

    design: Design
    lanes: int

    def __post_init__(self) -> None:
        require(
            self.lanes >= 1,
            law="lanes >= 1",
            got=f"lanes={self.lanes}",
            fix="ask for one copy or more",
        )
        require(
            "seed" in {field.name for field in fields(self.design)},
            law="a replicated design has a seed",
            got=f"design={self.design.kind}",
            fix="replicate the innermost design; copies without seeds would be equal",
        )

    @cached_property
    def copies(self) -> tuple[Design, ...]:
        """Return the copies, each with a seed derived from the design's own."""
        seed = vars(self.design)["seed"]
        return tuple(
            replace(self.design, **{"seed": child_seed(seed, lane)}) for lane in range(self.lanes)
        )

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"{self.lanes} x {self.design.name}"

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return self.lanes * self.design.numbers_per_cycle

    @property
    def period_clocks(self) -> int | None:
        """Return the clocks after which the stream repeats."""
        return self.design.period_clocks

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return self.design.lsb

    @property
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""
        return self.design.word_bits

    @property
    def latency_clocks(self) -> int:
        """Return the clocks between reset and the first valid number."""
        return self.design.latency_clocks

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        check_range(start, length)
        each = self.design.numbers_per_cycle
        first = start // self.numbers_per_cycle
        clocks = -(-(start + length) // self.numbers_per_cycle) - first
        rows = [c.codes(first * each, clocks * each).reshape(clocks, each) for c in self.copies]
        skip = start - first * self.numbers_per_cycle
        return np.concatenate(rows, axis=1).reshape(-1)[skip : skip + length]

    def decode(self, words: Words) -> Codes:
        """Return the codes of words on the output bus, same shape."""
        return self.design.decode(words)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of every copy, prefixed with its name."""
        found = self.design.signals().items()
        return {f"u{lane}.{name}": s for lane in range(self.lanes) for name, s in found}

    def reset(self) -> State:
        """Return the registers after reset."""
        return self._merge([copy.reset() for copy in self.copies])

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        parts = zip(self.copies, self._split(state), strict=True)
        return self._merge([copy.clock(part) for copy, part in parts])

    def nets(self, state: State) -> State:
        """Return the combinational nets of every copy."""
        parts = zip(self.copies, self._split(state), strict=True)
        return self._merge([copy.nets(part) for copy, part in parts])

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, copy 0 first."""
        parts = zip(self.copies, self._split(state), strict=True)
        return [word for copy, part in parts for word in copy.words(part)]

    def _merge(self, parts: list[State]) -> State:
        return {
            f"u{i}.{name}": value for i, part in enumerate(parts) for name, value in part.items()
        }

    def _split(self, state: State) -> list[State]:
        parts: list[State] = [{} for _ in self.copies]
        for name, value in state.items():
            prefix, _, inner = name.partition(".")
            parts[int(prefix[1:])][inner] = value
        return parts

    def verilog(self, *, module: str = "rng") -> str:
        """Return one module per copy and one that holds them.

        Their hierarchy is kept: a copy costs what one alone does, and copies whose registers
        happen to agree are not made one.
        """
        lane_bits = self.design.numbers_per_cycle * self.word_bits
        body = [
            f"{module}_u{i} u{i} (clk, rst, en, {v.part('out', i, width=lane_bits)});"
            for i in range(self.lanes)
        ]
        top = v.module(module, bus_bits=lane_bits * self.lanes, body=body)
        texts = [copy.verilog(module=f"{module}_u{i}") for i, copy in enumerate(self.copies)]
        return "\n".join([*map(v.kept, texts), top])

    def verilog_code(self, word: str) -> str:
        """Return the signed Verilog expression of a word's code."""
        return self.design.verilog_code(word)

    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""
        return self.design.resources() * self.lanes

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients."""
        return {name: self.lanes * n for name, n in self.design.lut_terms().items()}

    def activity(self) -> Activity:
        """Return the switching activity by formula."""
        return self.design.activity()

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return self.design.bram_bits_read * self.lanes
