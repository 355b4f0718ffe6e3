"""A barrel rotator: the turn of a bank in stages of two bits, one LUT per bit and stage."""

from dataclasses import dataclass

from hwmodel import verilog as v
from hwmodel.luts import small_counter_luts
from hwmodel.resources import Resources
from hwmodel.trace import State, rotate_right


@dataclass(frozen=True, kw_only=True)
class Barrel:
    """Rotates ``words`` words of ``bits`` bits by a turn of 0 to ``words - 1`` places."""

    words: int
    bits: int

    @property
    def bus_bits(self) -> int:
        """Return the width of all words together."""
        return self.words * self.bits

    @property
    def turn_bits(self) -> int:
        """Return the bits of the turn."""
        return max(1, (self.words - 1).bit_length())

    @property
    def stages(self) -> int:
        """Return the stages, two bits of the turn each."""
        return -(-self.turn_bits // 2)

    def rotate(self, bus: int, turn: int) -> State:
        """Return the bus after every stage."""
        seen = {}
        for stage in range(self.stages):
            places = (turn >> (2 * stage) & 3) << (2 * stage)
            bus = rotate_right(bus, by=places % self.words * self.bits, width=self.bus_bits)
            seen[f"stage{stage}"] = bus
        return seen

    def verilog_modules(self, prefix: str) -> str:
        """Return one module per stage.

        Their hierarchy is kept because a mapper that looks across stages trades logic for depth,
        while a choice of four is exactly one LUT per bit.
        """
        return "\n".join(self._module(stage, f"{prefix}{stage}") for stage in range(self.stages))

    def verilog_body(self, prefix: str, *, bus: str) -> list[str]:
        """Return the lines that send ``bus`` through all stages; the last is ``rotated``."""
        names = [f"stage{stage}" for stage in range(self.stages - 1)] + ["rotated"]
        lines = []
        for stage, name in enumerate(names):
            high = min(2 * stage + 1, self.turn_bits - 1)
            lines.append(f"wire [{self.bus_bits - 1}:0] {name};")
            lines.append(f"{prefix}{stage} turn{stage} (turn[{high}:{2 * stage}], {bus}, {name});")
            bus = name
        return lines

    def _module(self, stage: int, name: str) -> str:
        digits = min(2, self.turn_bits - 2 * stage)
        picks = range(1 << digits)
        turned = [_turned((pick << 2 * stage) % self.words * self.bits, self) for pick in picks]
        ports = [
            f"  input wire [{digits - 1}:0] turn,",
            f"  input wire [{self.bus_bits - 1}:0] bus,",
            f"  output wire [{self.bus_bits - 1}:0] turned",
        ]
        head = [v.KEPT, f"module {name} (", *ports, ");"]
        return "\n".join([*head, f"  assign turned = {_choose(turned)};", "endmodule", ""])

    def resources(self) -> Resources:
        """Return the FPGA resources by formula, with the counter that makes the turn."""
        lut = self.bus_bits * self.stages + small_counter_luts(self.words)
        return Resources(lut=lut, ff=self.turn_bits)


def _turned(by: int, barrel: Barrel) -> str:
    return f"{{bus[{by - 1}:0], bus[{barrel.bus_bits - 1}:{by}]}}" if by else "bus"


def _choose(choices: list[str]) -> str:
    """Return a multiplexer of two or four."""
    low = f"turn[0] ? {choices[1]} : {choices[0]}"
    return low if len(choices) == 2 else f"turn[1] ? ({_choose(choices[2:])}) : ({low})"
