"""What every design is: parameters with a golden stream, a cycle model, Verilog and a price."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import repeat
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwmodel.audit import Audit
from hwmodel.checks import require
from hwmodel.directions import clocks_per_step, distinct_places
from hwmodel.power import Power, estimate_power
from hwmodel.resources import Resources
from hwmodel.trace import Activity, Signal, State, ToggleCounter, Trace

Codes = NDArray[np.int32]
Words = NDArray[np.signedinteger]

# A period is made in stretches, so that no wider copy of all of it is ever held.
_STRETCH = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Design(ABC):
    """A random number generator with all its parameters.

    A design is a value: equal parameters make equal designs, and everything below is a pure
    function of them. Number ``g`` of the stream leaves in clock ``g // numbers_per_cycle`` at
    position ``g % numbers_per_cycle``.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """Return a short name for people."""

    @property
    @abstractmethod
    def numbers_per_cycle(self) -> int:
        """Return how many numbers leave per clock."""

    @property
    @abstractmethod
    def period_clocks(self) -> int | None:
        """Return the clocks after which the stream repeats; ``None`` if no formula is known."""

    @property
    @abstractmethod
    def lsb(self) -> float:
        """Return what one unit of a code is worth: ``value = code * lsb``."""

    @property
    @abstractmethod
    def word_bits(self) -> int:
        """Return the width of one number on the output bus."""

    @property
    def latency_clocks(self) -> int:
        """Return the clocks between reset and the first valid number."""
        return 0

    @property
    def period(self) -> int | None:
        """Return the numbers after which the stream repeats; ``None`` if no formula is known."""
        clocks = self.period_clocks
        return None if clocks is None else clocks * self.numbers_per_cycle

    @property
    def spec(self) -> str:
        """Return the text from which ``get_design`` makes an equal design."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        pairs = [f"{key}={_spell(value)}" for key, value in given.items() if value != ()]
        return f"{self.kind}:{','.join(pairs)}"

    @abstractmethod
    def codes(self, start: int, length: int) -> Codes:
        """Return numbers ``start`` to ``start + length - 1`` of the golden stream.

        Args:
            start: Index of the first number since reset, at least 0.
            length: How many numbers.

        Returns:
            Integer codes, shape ``(length,)``, int32.
        """

    def period_codes(self) -> Words:
        """Return one period of the golden stream, shape ``(period,)``; shared, so read only.

        Integers are as narrow as the numbers allow: 16 bits, or 32 for numbers of 16 bits or more.

        Raises:
            ValueError: If no period is known.
        """
        require(
            self.period is not None,
            law="the period is known",
            got=f"{self.kind}, for which no formula is known",
            fix="read stretches with codes(start, length)",
        )
        return _period_codes(self)

    def _stretch(self, start: int, length: int) -> Codes:
        """Return a stretch of the stream, made anew: what ``period_codes`` is filled with."""
        return self.codes(start, length)

    @abstractmethod
    def decode(self, words: Words) -> Codes:
        """Return the codes of words on the output bus, same shape."""

    @abstractmethod
    def signals(self) -> dict[str, Signal]:
        """Return the registers and nets of the cycle model."""

    @abstractmethod
    def reset(self) -> State:
        """Return the registers after reset."""

    @abstractmethod
    def clock(self, state: State) -> State:
        """Return the registers one enabled clock later."""

    @abstractmethod
    def nets(self, state: State) -> State:
        """Return the combinational nets that belong to the registers."""

    @abstractmethod
    def words(self, state: State) -> list[int]:
        """Return the words on the output bus, position 0 first."""

    @abstractmethod
    def verilog(self, *, module: str = "rng") -> str:
        """Return a module with inputs ``clk``, ``rst``, ``en`` and the bus ``out``.

        Position ``j`` of the bus is ``out[j * word_bits +: word_bits]``. Reset is synchronous;
        without ``en`` everything holds.
        """

    @abstractmethod
    def resources(self) -> Resources:
        """Return the FPGA resources by formula."""

    def lut_terms(self) -> dict[str, float]:
        """Return the LUTs as amounts of fitted coefficients; ``lut`` counts whole LUTs."""
        return {"lut": self.resources().lut}

    @abstractmethod
    def activity(self) -> Activity:
        """Return the switching activity by formula; ``simulate().activity`` measures it."""

    @property
    def bram_bits_read(self) -> int:
        """Return the block RAM bits read per clock."""
        return 0

    def simulate(self, cycles: int, *, enable: Iterable[bool] | None = None) -> Trace:
        """Run the cycle model from reset until ``cycles`` rows of valid codes have left.

        Args:
            cycles: Rows of codes to collect.
            enable: One truth value per clock; a clock without enable holds every register and
                yields no row. By default every clock is enabled.

        Returns:
            The codes and the toggles of every register and net.
        """
        require(cycles >= 1, law="cycles >= 1", got=f"{cycles=}", fix="ask for one clock or more")
        ticks = repeat(True) if enable is None else enable
        counter = ToggleCounter(self.signals())
        state = self.reset()
        rows: list[list[int]] = []
        enabled_clocks = 0
        for enabled in ticks:
            if len(rows) == cycles:
                break
            counter.see(state | self.nets(state))
            if not enabled:
                continue
            if enabled_clocks >= self.latency_clocks:
                rows.append(self.words(state))
            enabled_clocks += 1
            state = self.clock(state)
        words = np.array(rows, dtype=np.int64).reshape(-1, self.numbers_per_cycle)
        return counter.trace(self.decode(words))

    def power(
        self,
        technology: str,
        *,
        clock_mhz: float,
        activity: Activity | None = None,
        resources: Resources | None = None,
    ) -> Power:
        """Return the dynamic power of the logic in one technology.

        Args:
            technology: A name of ``technology_names()``.
            clock_mhz: Clock frequency in MHz.
            activity: Switching activity; by default the design's own.
            resources: ``self.resources()``, from whoever has them already.

        Raises:
            ValueError: If the technology is unknown or the clock not positive.
        """
        return estimate_power(
            resources or self.resources(),
            activity=activity or self.activity(),
            bram_bits_read=self.bram_bits_read,
            numbers_per_cycle=self.numbers_per_cycle,
            technology=technology,
            clock_mhz=clock_mhz,
        )

    def audit(self, num_weights: int) -> Audit:
        """Return what the stream is worth to zeroth-order training of ``num_weights`` weights."""
        require(
            num_weights >= 1,
            law="num_weights >= 1",
            got=f"{num_weights=}",
            fix="count the trained weights",
        )
        return Audit(
            period=self.period,
            distinct_directions=self.distinct_directions(num_weights),
            num_weights=num_weights,
        )

    def numbers_per_step(self, num_weights: int) -> int:
        """Return how far a perturbation moves the stream: whole clocks, a surplus is dropped."""
        clocks = clocks_per_step(num_weights, numbers_per_cycle=self.numbers_per_cycle)
        return clocks * self.numbers_per_cycle

    def distinct_directions(self, num_weights: int) -> int | None:
        """Return how many different perturbations training can ever see, if a formula says."""
        period = self.period
        if period is None:
            return None
        return distinct_places(period, advance=self.numbers_per_step(num_weights))

    def verilog_code(self, word: str) -> str:
        """Return the signed Verilog expression of a word's code, for a scaler to multiply.

        Raises:
            ValueError: If the design is Gaussian: its numbers need no modulus scale.
        """
        raise ValueError(
            f"`a multiplied design is uniform` must hold, but got {self.kind}: "
            "a Gaussian source has the right norm; multiply a pool or a bank"
        )


@lru_cache(maxsize=8)
def _period_codes(design: Design) -> Words:
    size = design.period
    assert size is not None
    narrow: type[np.signedinteger] = np.int16 if design.word_bits < 16 else np.int32
    codes = np.empty(size, narrow)
    for start in range(0, size, _STRETCH):
        stop = min(start + _STRETCH, size)
        codes[start:stop] = design._stretch(start, stop - start)
    return codes


def _spell(value: Design | int | str | tuple[int, ...] | None) -> str:
    # Whether it is a design is not asked: for an abstract class, Python walks all subclasses.
    if value is None or isinstance(value, (int, str, tuple)):
        return str(value).replace(" ", "")
    return f"({value.spec})"


def index_bits(count: int) -> int:
    """Return the bits of an index into ``count`` things."""
    return max(1, (count - 1).bit_length())


def check_range(start: int, length: int) -> None:
    """Refuse a stretch of a stream that does not exist."""
    require(
        start >= 0 and length >= 0,
        law="start >= 0 and length >= 0",
        got=f"{start=}, {length=}",
        fix="streams begin at number 0, at reset",
    )


def check_bits(bits: int, *, low: int, high: int) -> None:
    """Refuse a number width outside ``low..high``."""
    require(
        low <= bits <= high,
        law=f"{low} <= bits <= {high}",
        got=f"{bits=}",
        fix="choose a width in this range",
    )
