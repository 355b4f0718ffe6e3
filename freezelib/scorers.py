"""The names of channel scorers, without the weight of torch."""

from __future__ import annotations

SCORERS = ("corr", "cosine", "rel_l2", "error_energy", "random", "all", "none")
