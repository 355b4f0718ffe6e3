"""The comparison of PeZO (arXiv 2504.20314) remade: Gaussian lanes against its two sources.

    python benchmarks/hwmodel_paper.py

The paper's abstract says: LUT -48.6 %, FF -12.7 %, power up to -86 %, for random number
generation. Its platform, lanes and baseline are not known here, so every saving is printed in two
readings: relative to the baseline, and in percentage points of a ZCU102. 1,024 lanes, and the
device, are an inference from those figures, not the paper's statement.
"""

from reporting import write_result

from hwmodel import Design, LfsrBank, Pool, Replicate, compare, get_design, technology_names

PAPER = {"lut": 48.6, "ff": 12.7, "power_mw": 86.0}
LANES = 1024
CLOCK_MHZ = 100.0
BASELINES = ["tree-8", "clt-12x8", "inverse-cdf-8"]


def main() -> None:
    sources = {
        "bank of 31 LFSRs, broadcast": LfsrBank(num_rngs=31, bits=8),
        "pool read narrow, broadcast": Pool(size=4093, bits=8),
        "pool read 1,024 wide": Pool(size=4096, bits=8, lanes=LANES),
    }
    rows = [
        row(name, source_name, source)
        for name in BASELINES
        for source_name, source in sources.items()
    ]
    show(rows)
    print(write_result("hwmodel_paper", n=len(rows), result={"paper": PAPER, "rows": rows}))


def row(baseline_name: str, source_name: str, source: Design) -> dict:
    """Return the savings of one source over 1,024 lanes of a baseline."""
    baseline = Replicate(design=get_design(baseline_name), lanes=LANES)
    found: dict = {"baseline": f"{LANES} x {baseline_name}", "source": source_name}
    for technology in technology_names():
        savings = compare(baseline, source, technology=technology, clock_mhz=CLOCK_MHZ)
        power = savings["power_mw"]
        covered = not source.power(technology, clock_mhz=CLOCK_MHZ).uncovered
        found[f"power, {technology}"] = vars(power) if covered else "memory not covered"
    return found | {name: vars(savings[name]) for name in ("lut", "ff", "bram")}


def show(rows: list[dict]) -> None:
    print(
        f"{'baseline':22s} {'source':28s}   LUT                 FF                  BRAM    power"
    )
    for found in rows:
        lut, ff = (readings(found[name]) for name in ("lut", "ff"))
        power = found["power, rapidsilicon-published"]
        print(
            f"{found['baseline']:22s} {found['source']:28s} {lut}   {ff}   "
            f"{found['bram']['second']:5.1f} {power['first']:7.0f} -> {power['second']:7.1f} mW "
            f"({-power['relative_percent']:+.1f} %)"
        )
    print("each LUT and FF: relative saving / percentage points of a ZCU102; the abstract's")
    print(f"figures are {PAPER}. What can be concluded: see docs/hwmodel.md.")


def readings(saving: dict) -> str:
    return f"{-saving['relative_percent']:+6.1f} % / {-saving['device_points']:+5.1f} pt"


if __name__ == "__main__":
    main()
