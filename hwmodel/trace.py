"""Clock-by-clock simulation: what a design's registers and nets do, and how often they toggle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = dict[str, int]
Kind = Literal["lut", "ff", "bram", "dsp"]


@dataclass(frozen=True)
class Signal:
    """A register or net: ``width`` bits, and the kind of cell that drives them."""

    width: int
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Toggles per bit and clock, averaged over the bits of one kind (0.5 is random data)."""

    lut: float = 0.0
    ff: float = 0.0
    bram: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a simulation saw.

    Attributes:
        codes: Codes that left the design, shape ``(cycles, numbers_per_cycle)``, int32; row 0 is
            the first valid one, after the latency.
        clocks: Clocks over which toggles were counted.
        toggles: Bit changes by signal.
        signals: Width and kind by signal.
    """

    codes: NDArray[np.int32]
    clocks: int
    toggles: Mapping[str, int]
    signals: Mapping[str, Signal]

    @property
    def activity(self) -> Activity:
        """Return the toggles per bit and clock of each kind of signal."""
        return Activity(lut=self._mean("lut"), ff=self._mean("ff"), bram=self._mean("bram"))

    def _mean(self, kind: Kind) -> float:
        names = [name for name, signal in self.signals.items() if signal.kind == kind]
        bit_clocks = sum(self.signals[name].width for name in names) * self.clocks
        return sum(self.toggles[name] for name in names) / bit_clocks if bit_clocks else 0.0


class ToggleCounter:
    """Counts bit changes while values stream past."""

    def __init__(self, signals: Mapping[str, Signal]) -> None:
        self._signals = signals
        self._toggles = dict.fromkeys(signals, 0)
        self._before: State = {}
        self._clocks = 0

    def see(self, values: State) -> None:
        """Take the values of all signals in one clock."""
        if self._before:
            self._clocks += 1
            for name in self._signals:
                self._toggles[name] += (self._before[name] ^ values[name]).bit_count()
        self._before = values

    def trace(self, codes: NDArray[np.int32]) -> Trace:
        """Return what was seen, with the codes that left meanwhile."""
        return Trace(
            codes=codes, clocks=self._clocks, toggles=self._toggles, signals=self._signals
        )


def pack(words: list[int], *, width: int) -> int:
    """Return one integer with ``words[0]`` in its lowest ``width`` bits."""
    return sum(word << (width * place) for place, word in enumerate(words))


def unpack(packed: int, *, width: int, count: int) -> list[int]:
    """Return ``count`` words of ``width`` bits, lowest first."""
    mask = (1 << width) - 1
    return [packed >> (width * place) & mask for place in range(count)]


def rotate_right(packed: int, *, by: int, width: int) -> int:
    """Return a ``width``-bit integer whose bit 0 is bit ``by`` of the argument."""
    return (packed >> by | packed << (width - by)) & ((1 << width) - 1)
