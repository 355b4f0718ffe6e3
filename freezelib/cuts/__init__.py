"""Where a model can be cut, and the two halves of a cut.

A *cut* is a place where exactly one tensor is live, so that the suffix needs nothing of the prefix
but that tensor. ``trace`` makes a graph of a model, ``places`` finds the cuts in it, ``work``
measures what each node of it costs, and ``halves`` takes it apart.
"""

from freezelib.cuts.halves import blocks, split, tap
from freezelib.cuts.places import Cut, find_cuts

__all__ = ["Cut", "blocks", "find_cuts", "split", "tap"]
