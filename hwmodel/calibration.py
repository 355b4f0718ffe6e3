"""Holding the LUT formulae against synthesis, and refitting their coefficients."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from hwmodel.calibration_points import POINTS, TABULATED
from hwmodel.catalog import get_design
from hwmodel.designs.base import Design
from hwmodel.resources import Resources
from hwmodel.synthesis import synthesize
from hwmodel.technologies import load_technology

# Coefficients that a calibration refits; the others were measured one by one.
FITTED = ("magnitude_table", "turn_table", "hadamard_rest")

# Every third point of a family is held out of the fit.
_HOLD_OUT = 3


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What synthesis said of one design, and how long it took."""

    design: Design
    family: str
    held_out: bool
    measured: Resources
    wall_s: float

    @property
    def tabulated(self) -> bool:
        """Return whether the model is a table of such measurements."""
        return self.family in TABULATED


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Coefficients fitted to the points that were not held out.

    Attributes:
        coefficients: LUTs by name, as in technology ``xc7-yosys``.
        measurements: All points.
    """

    coefficients: dict[str, float]
    measurements: tuple[Measurement, ...]

    def modelled_luts(self, point: Measurement) -> int:
        """Return the LUTs of a point by formula, with the fitted coefficients."""
        terms = point.design.lut_terms().items()
        known = {"lut": 1.0} | _shipped() | self.coefficients
        return round(sum(amount * known[name] for name, amount in terms))

    def lut_error(self, point: Measurement) -> float:
        """Return the relative error of the formula; no LUTs where there are none is no error."""
        modelled, measured = self.modelled_luts(point), point.measured.lut
        return modelled / measured - 1 if measured else float(modelled != 0)

    def mean_error(self, *, held_out: bool) -> float | None:
        """Return the mean absolute relative error of the points on one side of the fit."""
        points = [p for p in self.measurements if p.held_out == held_out and not p.tabulated]
        return fmean(abs(self.lut_error(point)) for point in points) if points else None

    def storage_errors(self) -> list[Measurement]:
        """Return the points whose flip-flops, block RAM or DSP slices are not exact."""
        return [p for p in self.measurements if _storage(p.measured) != _storage(p.design)]


def calibrate(
    known: Iterable[Measurement] = (),
    *,
    points: Mapping[str, list[str]] = POINTS,
    progress: Callable[[Measurement], None] = lambda point: None,
) -> Calibration:
    """Synthesise the calibration points and fit the coefficients of the LUT formulae.

    Args:
        known: Measurements made before, of designs that need no synthesis again.
        points: Specifications of designs by family.
        progress: Called after every synthesis.

    Raises:
        ToolMissingError: If pyosys is not installed.
    """
    before = {point.design: point for point in known}
    measurements = []
    for family, specs in points.items():
        for place, spec in enumerate(specs):
            design = get_design(spec)
            if design not in before:
                held_out = place % _HOLD_OUT == _HOLD_OUT - 1 and family not in TABULATED
                before[design] = measure(design, family=family, held_out=held_out)
                progress(before[design])
            measurements.append(before[design])
    return Calibration(coefficients=_fit(measurements), measurements=tuple(measurements))


def measure(design: Design, *, family: str, held_out: bool) -> Measurement:
    """Synthesise one calibration point."""
    start = time.perf_counter()
    measured = synthesize(design)
    return Measurement(
        design=design,
        family=family,
        held_out=held_out,
        measured=measured,
        wall_s=time.perf_counter() - start,
    )


def _fit(measurements: list[Measurement]) -> dict[str, float]:
    """Return the coefficients that minimise the squared relative errors of the fitted points."""
    known = {"lut": 1.0} | _shipped()
    products: dict[str, float] = defaultdict(float)
    squares: dict[str, float] = defaultdict(float)
    for point in measurements:
        if point.held_out:
            continue
        terms = point.design.lut_terms()
        fitted = {name: n for name, n in terms.items() if name in FITTED and n}
        assert len(fitted) <= 1, "a design has one fitted coefficient at most"
        fixed = sum(n * known[name] for name, n in terms.items() if name not in FITTED)
        for name, amount in fitted.items():
            share = amount / point.measured.lut
            products[name] += share * (1 - fixed / point.measured.lut)
            squares[name] += share * share
    return {name: products[name] / squares[name] for name in products}


def _shipped() -> dict[str, float]:
    """Return the coefficients of the package, fitted and measured."""
    constants = load_technology("xc7-yosys").constants
    return {name: constant.value for name, constant in constants.items()}


def _storage(used: Resources | Design) -> tuple[int, float, int]:
    counts = used.resources() if isinstance(used, Design) else used
    return counts.ff, counts.bram, counts.dsp
