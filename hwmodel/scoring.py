"""What a source costs a training: price and worth of one design, and two designs side by side."""

from dataclasses import dataclass

from hwmodel.audit import Audit
from hwmodel.designs.base import Design
from hwmodel.directions import clocks_per_step
from hwmodel.power import Power
from hwmodel.resources import ZCU102, Device, Resources
from hwmodel.technologies import technology_names

# A step runs through its numbers three times: perturb, perturb the other way, restore and update.
PASSES_PER_STEP = 3


@dataclass(frozen=True, kw_only=True)
class Score:
    """One design priced in one technology for one model.

    Attributes:
        spec: From which ``get_design`` makes the design again.
        resources: LUT, FF, BRAM tiles and DSP slices.
        power: Dynamic power and energy per number.
        audit: Period and distinct directions for the model.
        numbers_per_cycle: Numbers per clock.
        latency_clocks: Clocks from reset to the first number.
        energy_per_weight_pj: Energy of one pass over the weights, per weight, in pJ.
        energy_per_step_uj: Energy of one zeroth-order step in microjoules, three passes.
        step_us: Time in which the source delivers a step's numbers, in microseconds.
    """

    spec: str
    resources: Resources
    power: Power
    audit: Audit
    numbers_per_cycle: int
    latency_clocks: int
    energy_per_weight_pj: float
    energy_per_step_uj: float
    step_us: float


def score(design: Design, technology: str, clock_mhz: float, *, num_weights: int) -> Score:
    """Return the price of a design and its worth to training ``num_weights`` weights.

    Args:
        design: The design.
        technology: A name of ``technology_names()``.
        clock_mhz: Clock frequency in MHz.
        num_weights: Weights that one perturbation covers.

    Raises:
        ValueError: If the technology is unknown, or the clock or the weights not positive.
    """
    audit = design.audit(num_weights)
    resources = design.resources()
    power = design.power(technology, clock_mhz=clock_mhz, resources=resources)
    clocks = clocks_per_step(num_weights, numbers_per_cycle=design.numbers_per_cycle)
    pass_pj = design.numbers_per_step(num_weights) * power.energy_pj
    return Score(
        spec=design.spec,
        resources=resources,
        power=power,
        audit=audit,
        numbers_per_cycle=design.numbers_per_cycle,
        latency_clocks=design.latency_clocks,
        energy_per_weight_pj=pass_pj / num_weights,
        energy_per_step_uj=PASSES_PER_STEP * pass_pj * 1e-6,
        step_us=PASSES_PER_STEP * clocks / clock_mhz,
    )


def power_range(design: Design, *, clock_mhz: float) -> tuple[Power, Power]:
    """Return the lowest and the highest power over all technologies that cover the design.

    A technology without an energy for something that the design uses is left out, unless that
    holds for all of them.
    """
    every = [design.power(name, clock_mhz=clock_mhz) for name in technology_names()]
    covered = [power for power in every if not power.uncovered] or every
    ordered = sorted(covered, key=lambda power: power.power_mw)
    return ordered[0], ordered[-1]


@dataclass(frozen=True, kw_only=True)
class Saving:
    """How much less of one resource the second of two designs takes.

    Attributes:
        first: What the first design takes.
        second: What the second takes.
        relative_percent: Saving in percent of the first; ``None`` if the first takes none.
        device_points: Saving in percentage points of a device; ``None`` for power.
    """

    first: float
    second: float
    relative_percent: float | None
    device_points: float | None


def compare(
    a: Design, b: Design, *, technology: str, clock_mhz: float, device: Device = ZCU102
) -> dict[str, Saving]:
    """Return what design ``b`` saves over design ``a``, in both readings of a percentage.

    Args:
        a: The baseline.
        b: The design that should be cheaper; it must make as many numbers per clock.
        technology: A name of ``technology_names()``, for the power.
        clock_mhz: Clock frequency of both in MHz.
        device: Of whose resources a saving is also given in percentage points.

    Returns:
        Savings by ``lut``, ``ff``, ``bram``, ``dsp`` and ``power_mw``.
    """
    found = {
        name: _saving(getattr(a.resources(), name), getattr(b.resources(), name), whole=whole)
        for name, whole in (
            ("lut", device.lut),
            ("ff", device.ff),
            ("bram", device.bram),
            ("dsp", device.dsp),
        )
    }
    power = [x.power(technology, clock_mhz=clock_mhz).power_mw for x in (a, b)]
    return found | {"power_mw": _saving(*power, whole=None)}


def _saving(first: float, second: float, *, whole: float | None) -> Saving:
    return Saving(
        first=first,
        second=second,
        relative_percent=100 * (1 - second / first) if first else None,
        device_points=100 * (first - second) / whole if whole else None,
    )
