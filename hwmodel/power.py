"""Dynamic power from counts, switching activity and a technology's energies."""

from dataclasses import dataclass

from hwmodel.checks import choose, require
from hwmodel.resources import Resources
from hwmodel.technologies import Technology, load_technology, technology_names
from hwmodel.trace import Activity


@dataclass(frozen=True, kw_only=True)
class Power:
    """Dynamic power of a generator's logic.

    It covers look-up tables, flip-flops with their clock pins and block RAM reads, and leaves out
    static power, the clock tree and the wires that carry numbers to their users.

    Attributes:
        power_mw: Dynamic power in mW.
        energy_pj: Energy per generated number in pJ.
        clock_mhz: Clock frequency in MHz.
        technology: Name of the technology.
        source: Where the technology's energies come from.
        accuracy: What is known of their accuracy.
        uncovered: Resources in use for which the technology has no energy; the power leaves
            them out.
    """

    power_mw: float
    energy_pj: float
    clock_mhz: float
    technology: str
    source: str
    accuracy: str
    uncovered: tuple[str, ...]


def estimate_power(
    resources: Resources,
    *,
    activity: Activity,
    bram_bits_read: int,
    numbers_per_cycle: int,
    technology: str,
    clock_mhz: float,
) -> Power:
    """Return the dynamic power of ``resources`` that toggle with ``activity``.

    ``f (V^2 (LUT a E_LUT + FF (a E_FF + E_clock)) + bits a E_bit)``; energies in pJ and a clock
    in MHz make microwatts.

    Raises:
        ValueError: If the technology is unknown or the clock not positive.
    """
    require(clock_mhz > 0, law="clock_mhz > 0", got=f"{clock_mhz=}", fix="give a frequency in MHz")
    tech = load_technology(choose(technology, technology_names(), what="technology with energies"))
    uncovered = ["dsp"] if resources.dsp else []
    clock_pj = _logic_pj(tech, resources, activity)
    if resources.bram and "bram_bit_toggle" in tech.constants:
        clock_pj += bram_bits_read * activity.bram * tech["bram_bit_toggle"].value
    elif resources.bram:
        uncovered.append("bram")
    return Power(
        power_mw=clock_pj * clock_mhz * 1e-3,
        energy_pj=clock_pj / numbers_per_cycle,
        clock_mhz=clock_mhz,
        technology=tech.name,
        source=tech.source,
        accuracy=tech.accuracy,
        uncovered=tuple(uncovered),
    )


def _logic_pj(tech: Technology, used: Resources, activity: Activity) -> float:
    lut_pj = used.lut * activity.lut * tech["lut_toggle"].value
    ff_pj = used.ff * (activity.ff * tech["ff_toggle"].value + tech["ff_clock"].value)
    return (lut_pj + ff_pj) * tech["supply"].value ** 2
