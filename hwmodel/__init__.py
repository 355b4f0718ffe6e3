"""Random number generators as hardware: golden stream, cycle model, Verilog and price.

Importing this package loads nothing else; every public name loads its module on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Activity": "hwmodel.trace",
    "Audit": "hwmodel.audit",
    "BoxMuller": "hwmodel.designs.box_muller",
    "CATALOG": "hwmodel.catalog",
    "Clt": "hwmodel.designs.clt",
    "Design": "hwmodel.designs.base",
    "InverseCdf": "hwmodel.designs.inverse_cdf",
    "Lfsr": "hwmodel.designs.lfsr",
    "LfsrBank": "hwmodel.designs.lfsr_bank",
    "Multiplier": "hwmodel.designs.scale",
    "Pool": "hwmodel.designs.pool",
    "Power": "hwmodel.power",
    "PowerOfTwo": "hwmodel.designs.scale",
    "Replicate": "hwmodel.designs.replicate",
    "Resources": "hwmodel.resources",
    "Saving": "hwmodel.scoring",
    "Score": "hwmodel.scoring",
    "Technology": "hwmodel.technologies",
    "ToolMissingError": "hwmodel.rtl",
    "Trace": "hwmodel.trace",
    "TreeGrng": "hwmodel.designs.tree",
    "WallaceHadamard": "hwmodel.designs.wallace",
    "ZCU102": "hwmodel.resources",
    "asic_area": "hwmodel.asic",
    "calibrate": "hwmodel.calibration",
    "cell_power": "hwmodel.cell_power",
    "compare": "hwmodel.scoring",
    "get_design": "hwmodel.catalog",
    "load_technology": "hwmodel.technologies",
    "measure_quality": "hwmodel.quality",
    "power_range": "hwmodel.scoring",
    "score": "hwmodel.scoring",
    "simulate_verilog": "hwmodel.rtl",
    "synthesize": "hwmodel.synthesis",
    "synthesize_asic": "hwmodel.asic",
    "technology_names": "hwmodel.technologies",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
