"""Which of two ways to do the same is the faster one here."""

import time
from collections.abc import Callable
from statistics import median

Work = Callable[[], None]
_TURNS = 9


class Race:
    """Two ways take turns at work that has to be done anyway; then the faster one does the rest.

    To do one piece of work twice would be simpler, but the second time it lies in the processor's
    cache, as no later piece will.
    """

    def __init__(self) -> None:
        self._seconds: tuple[list[float], list[float]] = [], []
        self.first_won: bool | None = None
        """Whether the first way is the faster one; None until both had their turns."""

    def run(self, first: Work, second: Work) -> None:
        """Do a piece of work, one way or the other."""
        if self.first_won is not None:
            (first if self.first_won else second)()
            return
        mine, other = self._seconds
        if len(mine) == len(other):
            mine.append(_seconds(first))
            return
        other.append(_seconds(second))
        if len(other) == _TURNS:
            self.first_won = median(mine) < median(other)


def _seconds(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
