"""The price of the random numbers that a trial was trained with."""

from __future__ import annotations

from dataclasses import dataclass

import hwmodel
from sweeps.config import HardwareConfig
from zo import get_source


@dataclass(frozen=True, kw_only=True)
class Price:
    """A generator's resources and power, and what its stream is worth to the training.

    Attributes:
        design: Name of the priced design.
        lut: Look-up tables.
        ff: Flip-flops.
        bram: Block RAM tiles of 36 Kbit.
        dsp: DSP slices.
        power_mw: Dynamic logic power in mW.
        energy_pj_per_weight: Energy to perturb all weights once, per weight, in pJ.
        distinct_directions: Perturbations that the training can ever see; None without limit.
        reuse_factor: Weights served per generated number.
    """

    design: str
    lut: int
    ff: int
    bram: float
    dsp: int
    power_mw: float
    energy_pj_per_weight: float
    distinct_directions: int | None
    reuse_factor: float


def price(source_address: str, *, num_weights: int, queries: int, config: HardwareConfig) -> Price:
    """Price the design whose golden stream is the perturbation source.

    The software Gaussian has no hardware twin. It is priced as the usual Gaussian baseline, one
    central-limit generator per lane, and its design says so.
    """
    source = get_source(source_address).bind(num_weights, queries=queries)
    design, name = source.design(lanes=config.lanes), ""
    if design is None:
        design = hwmodel.Replicate(design=hwmodel.Clt(), lanes=config.lanes)
        name = " (stands in for Gaussian)"
    resources = design.resources()
    power = design.power(config.technology, clock_mhz=config.clock_mhz)
    directions = source.distinct_directions(num_weights)
    return Price(
        design=design.name + name,
        lut=resources.lut,
        ff=resources.ff,
        bram=resources.bram,
        dsp=resources.dsp,
        power_mw=power.power_mw,
        energy_pj_per_weight=power.energy_pj,
        distinct_directions=None if directions == float("inf") else int(directions),
        reuse_factor=source.reuse_factor(num_weights),
    )
