"""The modulus scale as hardware: a shift of wires, or a true multiplier."""

from dataclasses import dataclass

import numpy as np

from hwmodel import verilog as v
from hwmodel.checks import require
from hwmodel.designs.base import Codes, Design, Words
from hwmodel.designs.wrapper import Wrapper
from hwmodel.resources import Resources
from hwmodel.trace import Signal, State, pack, unpack


@dataclass(frozen=True, kw_only=True)
class PowerOfTwo(Wrapper):
    """A design whose numbers count ``2**shift`` as much: no logic, the wires move.

    Attributes:
        design: What is scaled.
        shift: Power of two, -32 to 32.
    """

    kind = "power_of_two"

    design: Design
    shift: int = 1

    def __post_init__(self) -> None:
        require(
            -32 <= self.shift <= 32,
            law="-32 <= shift <= 32",
            got=f"shift={self.shift}",
            fix="the modulus scale of a uniform source is close to 2, a shift of 1",
        )

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"{self.design.name}, times 2^{self.shift}"

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return self.design.lsb * 2.0**self.shift


@dataclass(frozen=True, kw_only=True)
class Multiplier(Wrapper):
    """A design whose numbers are multiplied by a constant, one DSP slice per lane.

    Attributes:
        design: What is scaled.
        factor: The constant as an integer of at most 17 bits.
        fraction_bits: Fractional bits of the constant: it is worth ``factor / 2**fraction_bits``.
    """

    kind = "multiplier"

    design: Design
    factor: int = 223
    fraction_bits: int = 7

    def __post_init__(self) -> None:
        require(
            1 <= self.factor < 1 << 17 and 0 <= self.fraction_bits <= 32,
            law="1 <= factor < 2**17 and 0 <= fraction_bits <= 32",
            got=f"factor={self.factor}, fraction_bits={self.fraction_bits}",
            fix="a DSP slice multiplies 25 by 18 bits, both signed",
        )
        require(
            self.code_bits <= 25 and self.word_bits <= 32,
            law="codes of at most 25 bits and products of at most 32",
            got=f"{self.code_bits} and {self.word_bits} bits",
            fix="scale a narrower design, or by a shorter factor",
        )

    @property
    def shifts(self) -> bool:
        """Return whether the factor is a power of two, which needs no DSP slice."""
        return self.factor.bit_count() == 1

    @property
    def code_bits(self) -> int:
        """Return enough bits for the design's codes in two's complement."""
        return self.design.word_bits + 2

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return f"{self.design.name}, times {self.factor}/2^{self.fraction_bits}"

    @property
    def lsb(self) -> float:
        """Return what one unit of a code is worth."""
        return self.design.lsb * 2.0**-self.fraction_bits

    @property
    def word_bits(self) -> int:
        """Return the width of a product, two's complement."""
        return self.code_bits + self.factor.bit_length()

    @property
    def latency_clocks(self) -> int:
        """Return the design's latency and the clock of the product."""
        return self.design.latency_clocks + 1

    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream."""
        return self.design.codes(start, length) * np.int32(self.factor)

    def decode(self, words: Words) -> Codes:
        """Return the two's complement value."""
        return (words - (words >> (self.word_bits - 1) << self.word_bits)).astype(np.int32)

    def signals(self) -> dict[str, Signal]:
        """Return the design's signals and the product registers, inside DSP slices if any."""
        width = self.word_bits * self.numbers_per_cycle
        return self.design.signals() | {"product": Signal(width, "ff" if self.shifts else "dsp")}

    def reset(self) -> State:
        """Return the registers after reset."""
        return self.design.reset() | {"product": 0}

    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""
        words = np.array(self.design.words(state), dtype=np.int64)
        mask = (1 << self.word_bits) - 1
        products = [code * self.factor & mask for code in self.design.decode(words).tolist()]
        return self.design.clock(state) | {"product": pack(products, width=self.word_bits)}

    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""
        return unpack(state["product"], width=self.word_bits, count=self.numbers_per_cycle)

    def verilog(self, *, module: str = "rng") -> str:
        """Return the design as a module and a module of multipliers around it.

        The source's hierarchy is kept, so that it costs what it costs alone.
        """
        lanes, inner, outer = self.numbers_per_cycle, self.design.word_bits, self.word_bits
        factor = f"$signed({v.literal(self.factor, bits=self.factor.bit_length() + 1)})"
        body = [
            f"wire [{lanes * inner - 1}:0] raw;",
            f"{module}_source source (clk, rst, en, raw);",
            *(
                f"wire signed [{self.code_bits - 1}:0] code{j} = "
                f"{self.design.verilog_code(v.part('raw', j, width=inner))};"
                for j in range(lanes)
            ),
            *(f"reg signed [{outer - 1}:0] product{j};" for j in range(lanes)),
            *v.pipeline({f"product{j}": f"code{j} * {factor}" for j in range(lanes)}),
            f"assign out = {v.concat([f'product{j}' for j in range(lanes)])};",
        ]
        top = v.module(module, bus_bits=lanes * outer, body=body)
        return "\n".join([v.kept(self.design.verilog(module=f"{module}_source")), top])

    def resources(self) -> Resources:
        """Return the FPGA resources by formula: one DSP slice per lane, its registers inside.

        A power of two moves wires, and registers are all that is left.
        """
        lanes = self.numbers_per_cycle
        if self.shifts:
            return self.design.resources() + Resources(ff=lanes * self.design.word_bits)
        return self.design.resources() + Resources(dsp=lanes)
