"""The report of a sweep: a page that stands alone, its plots, and the same as JSON."""

from sweeps.report.page import write_report

__all__ = ["write_report"]
