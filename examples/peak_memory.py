"""This process's peak resident memory, as Linux counts it."""

from pathlib import Path


def peak_mib() -> float:
    """Return the peak since the process began or ``reset_peak`` was called; NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peaks = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return peaks[0] if peaks else float("nan")


def reset_peak() -> None:
    """Begin the peak anew at what is resident now."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
