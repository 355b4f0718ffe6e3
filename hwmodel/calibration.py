"""Holding the LUT formulae against synthesis, and refitting their coefficients."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from hwmodel.catalog import get_design
from hwmodel.designs.base import Design
from hwmodel.resources import Resources
from hwmodel.synthesis import synthesize

# Every third point of a family is held out of the fit.
_HOLD_OUT = 3

POINTS: dict[str, list[str]] = {
    "LFSR": [
        "lfsr:state_bits=8",
        "lfsr:state_bits=16,form=galois",
        "lfsr:state_bits=8,leap=8",
        "lfsr:state_bits=17,leap=8",
        "lfsr:state_bits=14,leap=14",
        "lfsr:state_bits=16,leap=8",
        "lfsr:state_bits=16,leap=16",
        "lfsr:state_bits=24,leap=29",
        "lfsr:state_bits=20,leap=23,form=galois",
    ],
    # Entered after the form of the shared rows was settled on the points above and below.
    "shared rows": [
        "lfsr:state_bits=13,leap=13",
        "lfsr:state_bits=19,leap=8",
        "lfsr:state_bits=14,leap=17,form=galois",
        "lfsr_bank:num_rngs=9,bits=19",
        "lfsr_bank:num_rngs=6,bits=24,leap=23,rotation=none",
        "lfsr_bank:num_rngs=10,bits=13,leap=10,rotation=barrel",
    ],
    "bank": [
        "lfsr_bank:num_rngs=7,bits=8,leap=1",
        "lfsr_bank:num_rngs=31,bits=8",
        "lfsr_bank:num_rngs=13,bits=4",
        "lfsr_bank:num_rngs=31,bits=16,leap=1",
        "lfsr_bank:num_rngs=31,bits=8,rotation=none",
        "lfsr_bank:num_rngs=31,bits=14",
        "lfsr_bank:num_rngs=63,bits=8",
        "lfsr_bank:num_rngs=15,bits=10",
        "lfsr_bank:num_rngs=7,bits=16",
        "lfsr_bank:num_rngs=127,bits=9",
        "lfsr_bank:num_rngs=20,bits=12",
        "lfsr_bank:num_rngs=12,bits=24",
    ],
    "barrel": [
        "lfsr_bank:num_rngs=7,bits=8,rotation=barrel",
        "lfsr_bank:num_rngs=31,bits=8,rotation=barrel",
        "lfsr_bank:num_rngs=5,bits=10,rotation=barrel",
        "lfsr_bank:num_rngs=3,bits=16,leap=1,rotation=barrel",
        "lfsr_bank:num_rngs=15,bits=8,rotation=barrel",
        "lfsr_bank:num_rngs=11,bits=10,rotation=barrel",
        "lfsr_bank:num_rngs=31,bits=16,leap=1,rotation=barrel",
        "lfsr_bank:num_rngs=63,bits=8,rotation=barrel",
        "lfsr_bank:num_rngs=41,bits=9,rotation=barrel",
        "lfsr_bank:num_rngs=127,bits=8,rotation=barrel",
        "lfsr_bank:num_rngs=16,bits=6,leap=1,rotation=barrel",
        "lfsr_bank:num_rngs=101,bits=7,rotation=barrel",
    ],
    "pool": [
        "pool:size=4093,bits=8",
        "pool:size=4096,bits=8,lanes=8",
        "pool:size=4096,bits=8,lanes=64",
        "pool:size=4096,bits=8,lanes=256",
        "pool:size=8191,bits=4",
        "pool:size=1021,bits=16",
        "pool:size=4095,bits=8,lanes=5",
        "pool:size=2047,bits=12,lanes=2",
        "pool:size=16381,bits=1",
        "pool:size=5000,bits=8",
        "pool:size=5000,bits=16",
        "pool:size=10007,bits=8",
    ],
    "CLT": [
        "clt:terms=12,bits=8",
        "clt:terms=4,bits=8",
        "clt:terms=8,bits=6",
        "clt:terms=16,bits=8",
        "clt:terms=12,bits=10,state_bits=17",
        "clt:terms=5,bits=7",
    ],
    "inverse CDF": [
        "inverse_cdf:address_bits=8,bits=8",
        "inverse_cdf:address_bits=9,bits=10",
        "inverse_cdf:address_bits=10,bits=12",
        "inverse_cdf:address_bits=10,bits=8",
        "inverse_cdf:address_bits=12,bits=12",
        "inverse_cdf:address_bits=7,bits=8",
        "inverse_cdf:address_bits=13,bits=16",
        "inverse_cdf:address_bits=9,bits=14",
        "inverse_cdf:address_bits=8,bits=12",
    ],
    "Box-Muller": [
        "box_muller:bits=12",
        "box_muller:bits=8,angle_bits=6",
        "box_muller:bits=10,angle_bits=8",
        "box_muller:bits=16,angle_bits=8",
        "box_muller:bits=12,angle_bits=7",
        "box_muller:bits=14,radius_bits=8,angle_bits=7",
    ],
    "Wallace-Hadamard": [
        "wallace_hadamard:depth=1024,bits=12",
        "wallace_hadamard:depth=512,bits=8",
        "wallace_hadamard:depth=1024,bits=16",
    ],
    "tree": [
        "tree_grng:bits=8",
        "tree_grng:bits=6",
        "tree_grng:bits=7",
        "tree_grng:bits=10",
        "tree_grng:bits=5",
        "tree_grng:bits=9",
    ],
    "scaler": [
        "power_of_two:design=(lfsr_bank:num_rngs=31,bits=8)",
        "multiplier:design=(lfsr_bank:num_rngs=31,bits=8)",
        "multiplier:design=(pool:size=4093,bits=8)",
    ],
    "replicate": [
        "replicate:lanes=4,design=(tree_grng:bits=8)",
        "replicate:lanes=2,design=(clt:terms=12,bits=8)",
        "replicate:lanes=8,design=(inverse_cdf:address_bits=8,bits=8)",
    ],
}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What synthesis said of one design, and how long it took."""

    design: Design
    family: str
    held_out: bool
    measured: Resources
    wall_s: float


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
        terms = point.design.lut_terms()
        return round(sum(n * self.coefficients.get(name, 1.0) for name, n in terms.items()))

    def lut_error(self, point: Measurement) -> float:
        """Return the relative error of the formula; no LUTs where there are none is no error."""
        modelled, measured = self.modelled_luts(point), point.measured.lut
        return modelled / measured - 1 if measured else float(modelled != 0)

    def mean_error(self, *, held_out: bool) -> float | None:
        """Return the mean absolute relative error of the points on one side of the fit."""
        errors = [abs(self.lut_error(p)) for p in self.measurements if p.held_out == held_out]
        return fmean(errors) if errors else None

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
                held_out = place % _HOLD_OUT == _HOLD_OUT - 1
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
    products: dict[str, float] = defaultdict(float)
    squares: dict[str, float] = defaultdict(float)
    for point in measurements:
        if point.held_out:
            continue
        terms = point.design.lut_terms()
        fixed = terms.pop("lut", 0.0)
        assert len(terms) <= 1, "a design has one fitted coefficient at most"
        for name, amount in terms.items():
            share = amount / point.measured.lut
            products[name] += share * (1 - fixed / point.measured.lut)
            squares[name] += share * share
    return {name: products[name] / squares[name] for name in products}


def _storage(used: Resources | Design) -> tuple[int, float, int]:
    counts = used.resources() if isinstance(used, Design) else used
    return counts.ff, counts.bram, counts.dsp
