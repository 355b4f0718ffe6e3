"""What a design occupies on an FPGA."""

from dataclasses import dataclass
from functools import cache


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


# Shapes of the block RAMs as (depth, width) by tiles, parity bits used as data (Xilinx UG473).
_SHAPES = {
    0.5: ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    1.0: ((512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2), (32768, 1)),
}


@dataclass(frozen=True, order=True)
class BlockRam:
    """How a memory is built from block RAMs.

    Attributes:
        tiles: Tiles of 36 Kbit.
        stacked: Block RAMs above each other; more than one need a multiplexer.
    """

    tiles: float
    stacked: int


@cache
def block_ram(depth: int, *, width: int) -> BlockRam:
    """Return the cheapest block RAM of ``depth`` words, the flattest of equally cheap ones.

    Args:
        depth: Words.
        width: Bits per word, all read in one clock.
    """
    return min(
        BlockRam(tiles * -(-depth // d) * -(-width // w), -(-depth // d))
        for tiles, shapes in _SHAPES.items()
        for d, w in shapes
    )
