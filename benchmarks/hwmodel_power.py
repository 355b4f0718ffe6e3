"""Power from activity: held against mapped netlists, and how much the activity matters.

    python benchmarks/hwmodel_power.py [--cycles 300]

1. Activity by formula, of the cycle model, and of the netlist that Yosys maps, simulated by Icarus
   with Yosys' cell models; power with each, and with a vendor's default of 0.125.
2. The formula of the ASIC technologies against gate-level power of eight generators (Liberty
   energies, simulated toggles; two cell libraries), each predicted from a fit to the others.
"""

import argparse

import numpy as np
from reporting import write_result

from hwmodel import Activity, get_design
from hwmodel.gates import gate_activity

DESIGNS = ["lfsr-8-leap", "lfsr_bank:num_rngs=7", "tree-8", "inverse-cdf-8", "clt:terms=4,bits=8"]
TECHNOLOGY, CLOCK_MHZ = "rapidsilicon-published", 100.0
VENDOR_DEFAULT = Activity(lut=0.125, ff=0.125, bram=0.125)

# Other Verilog of the same kinds of generators: LUT and FF on the 7 series, activity of the LUTs,
# and power in uW at 100 MHz on sky130 and Nangate45 (Yosys 0.70 + ABC, simulated toggles, Liberty
# energies, no wires; the method gave -2.2 % on OpenSTA's published gcd report).
GATE_LEVEL = {
    "LFSR 8": (1, 8, 0.5, 55, 15.5),
    "LFSR 16": (1, 16, 0.5, 105, 29.8),
    "tree": (101, 68, 0.28, 512, 148),
    "inverse CDF 8": (57, 48, 0.5, 473, 135),
    "CLT-4": (76, 103, 0.5, 884, None),
    "CLT-12": (251, 322, 0.5, 2764, 783),
    "bank 31x8 ring": (31, 248, 0.5, 1676, 477),
    "bank 31x8 barrel": (901, 253, 0.5, 3629, 869),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=300)
    options = parser.parse_args()
    activities = [activity_row(name, options.cycles) for name in DESIGNS]
    left_out = {"sky130": leave_one_out(3), "nangate45": leave_one_out(4)}
    for row in activities:
        print(row)
    for library, errors in left_out.items():
        worst = max(errors.values(), key=abs)
        mean = float(np.mean(np.abs(list(errors.values()))))
        print(f"{library}: mean error {mean:.1%}, worst {worst:+.1%}: {errors}")
    result = {"activity": activities, "leave one out": left_out}
    print(write_result("hwmodel_power", n=len(DESIGNS), result=result))


def activity_row(name: str, cycles: int) -> dict:
    design = get_design(name)
    seen = {
        "formula": design.activity(),
        "cycle model": design.simulate(cycles).activity,
        "netlist": gate_activity(design, cycles),
        "vendor default": VENDOR_DEFAULT,
    }
    power = {level: watts(design, activity) for level, activity in seen.items()}
    return {
        "design": design.name,
        "activity (LUT, FF)": {k: (round(a.lut, 3), round(a.ff, 3)) for k, a in seen.items()},
        "power_mw": power,
        "formula / netlist": power["formula"] / power["netlist"],
        "vendor default / netlist": power["vendor default"] / power["netlist"],
    }


def watts(design, activity: Activity) -> float:
    return design.power(TECHNOLOGY, clock_mhz=CLOCK_MHZ, activity=activity).power_mw


def leave_one_out(column: int) -> dict[str, float]:
    """Return, by generator, the relative error of a fit to all the others."""
    rows = {name: row for name, row in GATE_LEVEL.items() if row[column] is not None}
    errors = {}
    for name, (lut, ff, toggling, *_) in rows.items():
        others = [row for other, row in rows.items() if other != name]
        amounts = np.array([[row[0] * row[2], row[1]] for row in others])
        measured = np.array([row[column] for row in others], dtype=float)
        scaled = amounts / measured[:, None]
        energies = np.linalg.lstsq(scaled, np.ones(len(others)), rcond=None)[0]
        errors[name] = float(np.array([lut * toggling, ff]) @ energies / rows[name][column] - 1)
    return errors


if __name__ == "__main__":
    main()
