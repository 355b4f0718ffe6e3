"""Batteries that nobody here wrote, on the sign bits of the streams: ent, FIPS 140-2, dieharder.

    python benchmarks/hwmodel_batteries.py

Four megabytes per stream, one bit per number, beside a control (NumPy's PCG64). ``ent`` fails
where the bytes' chi squared is too large or too small at 1e-4, FIPS 140-2 (``rngtest``) where more
than 10 of 1,677 blocks do, a dieharder test where dieharder says so. A tool that is not installed
is named and left out. What must fail, and why, is in docs/hwmodel.md.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hwmodel_audit import STREAMS, normal_tail_of_chi2
from reporting import write_result

from hwmodel import WallaceHadamard, get_design

FILE_BYTES = 1 << 22
# Number, samples and repetitions of each dieharder test, so that none rewinds the file.
DIEHARDER = {"birthdays": (0, 100, 20), "rank 32x32": (2, 1000, 30), "rank 6x8": (3, 5000, 30)}
ENT_P = 1e-4
FIPS_FAILED_BLOCKS = 10


def main() -> None:
    tests: dict[str, Callable[[Path], dict]] = {"ent": ent, "rngtest": fips, "dieharder": diehard}
    missing = [tool for tool in tests if shutil.which(tool) is None]
    for tool in missing:
        print(f"NOT RUN: {tool} is not installed")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bits")
        for name in ["control", *STREAMS]:
            sign_bytes(name).tofile(path)
            rows[name] = {
                key: value
                for tool, run in tests.items()
                if tool not in missing
                for key, value in run(path).items()
            }
            failed = [key for key, found in rows[name].items() if found["failed"]]
            print(f"{name:36s} failed: {', '.join(failed) or '-'}", flush=True)
    stirred = [wallace_row(depth) for depth in (256, 1024, 4096)]
    for row in stirred:
        print(row)
    result = {"not installed": missing, "bytes": FILE_BYTES, "streams": rows, "wallace": stirred}
    print(write_result("hwmodel_batteries", n=len(rows), result=result))


def sign_bytes(name: str) -> np.ndarray:
    """Return one bit per number, packed, first number first; shape ``(FILE_BYTES,)``."""
    count = 8 * FILE_BYTES
    if name == "control":
        return np.frombuffer(np.random.default_rng(0).bytes(FILE_BYTES), dtype=np.uint8)
    design = get_design(name)
    if design.period is None:
        return np.packbits(design.codes(0, count) < 0)
    part = 1 << 20
    signs = [design.codes(start, part) < 0 for start in range(0, count, part)]
    return np.concatenate([np.packbits(sign) for sign in signs])


def wallace_row(depth: int) -> dict:
    """Return how the largest correlation of two lanes falls with the passes over a Wallace pool.

    Chance alone would halve it with every fourfold number of passes.
    """
    found: dict[str, float] = {"depth": depth}
    for passes in (1, 16, 256):
        rows = WallaceHadamard(depth=depth, bits=16).codes(0, 4 * depth * passes).reshape(-1, 4)
        correlation = np.asarray(np.corrcoef(rows, rowvar=False)) - np.eye(4)
        found[f"lane correlation after {passes} passes"] = float(np.abs(correlation).max())
        found[f"chance alone, {passes} passes"] = (depth * passes) ** -0.5
    return found


def ent(path: Path) -> dict:
    fields = run("ent", "-t", str(path)).splitlines()[1].split(",")
    p = normal_tail_of_chi2(float(fields[3]), freedom=255)
    return {"ent": {"entropy": float(fields[2]), "p": p, "failed": not ENT_P < p < 1 - ENT_P}}


def fips(path: Path) -> dict:
    with path.open("rb") as bits:
        shown = subprocess.run(["rngtest"], stdin=bits, capture_output=True, text=True).stderr
    pairs = re.findall(r"^rngtest: (FIPS .*): (\d+)$", shown, re.MULTILINE)
    found = {key: int(count) for key, count in pairs}
    failed = found["FIPS 140-2 failures"] > FIPS_FAILED_BLOCKS
    return {"FIPS 140-2": found | {"failed": failed}}


def diehard(path: Path) -> dict:
    rows = {}
    for name, (number, samples, repetitions) in DIEHARDER.items():
        options = ["-d", str(number), "-t", str(samples), "-p", str(repetitions)]
        line = run("dieharder", "-g", "201", "-f", str(path), *options).splitlines()[-1]
        p, verdict = (field.strip() for field in line.split("|")[4:6])
        rows[name] = {"p": float(p), "failed": verdict.startswith("FAILED")}
    return rows


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
