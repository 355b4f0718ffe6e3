"""What a person sees: a live line on a terminal, plain lines elsewhere, tables at the end."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sweeps.config import TrialConfig
from sweeps.outcome import FIGURES, Outcome, Row

_PLAIN_WIDTH = 220  # of a log; a terminal has its own


def make_console() -> Console:
    """The console on standard output; in a log, lines are not wrapped to a terminal's width."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


class ProgressWatcher:
    """Tells how a sweep gets on: one line per finished trial, and a bar where there is a terminal.

    Args:
        console: Where to.
        total: Trials that there will be; None if nobody knows.
        done: Trials that are finished already.
    """

    def __init__(self, console: Console, *, total: int | None, done: int) -> None:
        self._console, self._done, self._total = console, done, total
        self._running: dict[str, str] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done)

    def __enter__(self) -> ProgressWatcher:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def started(self, trial: TrialConfig) -> None:
        """See :class:`sweeps.watching.Watcher`."""
        self._show(trial, "preparing")

    def reported(self, trial: TrialConfig, step: int, metrics: dict[str, float]) -> None:
        """See :class:`sweeps.watching.Watcher`."""
        loss = metrics.get("train_loss", float("nan"))
        self._show(trial, f"step {step}/{trial.train.steps} loss {loss:.3f}")

    def finished(self, trial: TrialConfig, scores: dict[str, Any]) -> None:
        """See :class:`sweeps.watching.Watcher`."""
        self._end(
            trial, f"accuracy {scores['accuracy']:.3f}  trained in {scores['train_wall_s']:.1f} s"
        )

    def failed(self, trial: TrialConfig, error: str) -> None:
        """See :class:`sweeps.watching.Watcher`."""
        self._end(trial, f"failed: {last_line(error)}")

    def _show(self, trial: TrialConfig, state: str) -> None:
        self._running[trial.id] = f"{trial.label}: {state}"
        self._bar.update(self._task, description="\n".join(self._running.values()))

    def _end(self, trial: TrialConfig, outcome: str) -> None:
        self._done += 1
        self._running.pop(trial.id, None)
        self._bar.update(
            self._task, completed=self._done, description="\n".join(self._running.values())
        )
        of = f"/{self._total}" if self._total is not None else ""
        self._bar.console.print(
            f"[{self._done}{of}] {trial.id}  {trial.label}: {outcome}", markup=False
        )


def last_line(error: str) -> str:
    """The line of a traceback that says what happened."""
    lines = [line for line in error.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "unknown"


def print_outcome(console: Console, outcome: Outcome, *, everything: bool = False) -> None:
    """Print the Pareto set (or every trial) and the sweep in a few numbers."""
    rows = outcome.rows if everything else outcome.front
    title = "Trials" if everything else f"Pareto set over {', '.join(outcome.objectives)}"
    console.print(_table(title, rows))
    if groups := outcome.seed_groups:
        console.print(_seed_table(groups))
    console.print(
        f"{len(outcome.rows)} trials finished, {len(outcome.failures)} failed, "
        f"{len(outcome.front)} on the front, hypervolume {outcome.hypervolume:.4f}.\n"
        f"Feature caches: {outcome.cache_keys} distinct keys, {outcome.cache_builds} builds."
    )
    for trial_id, error in outcome.failures.items():
        console.print(f"failed {trial_id}: {last_line(error)}", markup=False)


def _table(title: str, rows: tuple[Row, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("trial", no_wrap=True)
    table.add_column("what")  # the one column that gives way on a narrow terminal
    for heading in FIGURES:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        figures = [show(row.scores) for show in FIGURES.values()]
        table.add_row("*" if row.pareto else "", row.config.id, row.config.label, *figures)
    return table


def _seed_table(groups: list[Any]) -> Table:
    table = Table(title="Accuracy over seeds", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("what")
    for heading in ("mean", "s.d.", "n"):
        table.add_column(heading, justify="right")
    for group in sorted(groups, key=lambda g: -g.mean):
        table.add_row(
            group.label, f"{group.mean:.4f}", f"{group.spread:.4f}", str(len(group.accuracies))
        )
    return table
