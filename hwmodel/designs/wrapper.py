"""A design around another one, which it resembles unless it says otherwise."""

from dataclasses import dataclass

from hwmodel.designs.base import Codes, Design, Words
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State


@dataclass(frozen=True, kw_only=True)
class Wrapper(Design):
    """Hands every question to the design inside."""

    design: Design

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return self.design.name

    @property
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""
        return self.design.numbers_per_cycle

    @property
    def period_clocks(self) -> int | None:
        """Return the clocks after which the stream repeats."""
        return self.design.period_clocks

    @property
    def period(self) -> int | None:
        """Return the numbers after which the stream repeats."""
        return self.design.period

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
        return self.design.codes(start, length)

    def decode(self, words: Words) -> Codes:
        """Return the codes of words on the output bus, same shape."""
        return self.design.decode(words)

    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""
        return self.design.signals()

    def reset(self) -> State:
        """Return the registers after reset."""
        return self.design.reset()

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        return self.design.clock(state)

    def nets(self, state: State) -> State:
        """Return the combinational nets that belong to the registers."""
        return self.design.nets(state)

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""
        return self.design.words(state)

    def verilog(self, *, module: str = "rng") -> str:
        """Return the design inside as a module."""
        return self.design.verilog(module=module)

    def verilog_code(self, word: str) -> str:
        """Return the signed Verilog expression of a word's code."""
        return self.design.verilog_code(word)

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return self.design.bram_bits_read

    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""
        return self.design.resources()

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients."""
        return self.design.lut_terms()

    def activity(self) -> Activity:
        """Return the switching activity by formula."""
        return self.design.activity()

    def numbers_per_step(self, num_weights: int) -> int:
        """Return how far a perturbation moves the stream."""
        return self.design.numbers_per_step(num_weights)
