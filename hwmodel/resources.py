"""What a design occupies on an FPGA."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Resources:
    """FPGA resources of a design, counted as 7-series and UltraScale+ tools count them.

    Attributes:
        lut: Six-input look-up tables.
        ff: Flip-flops.
        bram: Block RAM in tiles of 36 Kbit; a RAMB18 is 0.5.
        dsp: DSP slices.
    """

    lut: int = 0
    ff: int = 0
    bram: float = 0.0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            bram=self.bram + other.bram,
            dsp=self.dsp + other.dsp,
        )

    def __mul__(self, copies: int) -> "Resources":
        return Resources(
            lut=self.lut * copies,
            ff=self.ff * copies,
            bram=self.bram * copies,
            dsp=self.dsp * copies,
        )


@dataclass(frozen=True, kw_only=True)
class Device:
    """An FPGA by what it has."""

    name: str
    lut: int
    ff: int
    bram: int
    dsp: int


# XCZU9EG, the device of the ZCU102 board (vendor's product table).
ZCU102 = Device(name="ZCU102", lut=274_080, ff=548_160, bram=912, dsp=2_520)
