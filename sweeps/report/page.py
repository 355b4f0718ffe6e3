"""The page: one HTML file with its plots inside."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jinja2
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from freezelib.cache.files import write_whole
from sweeps.outcome import FIGURES, Outcome
from sweeps.report.plots import (
    directions_figure,
    energy_figure,
    parallel_figure,
    pareto_figure,
)

_PLOTS = {
    "pareto": ("What accuracy costs", pareto_figure),
    "parallel": ("All objectives at once", parallel_figure),
    "directions": ("Accuracy and distinct directions", directions_figure),
    "energy": ("Accuracy and the energy of its random numbers", energy_figure),
}


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write ``index.html``, the plots as SVG and PNG, and ``pareto.json``.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(outcome.to_json(), indent=1, allow_nan=False)
    write_whole(folder / "pareto.json", text.encode())
    plots = []
    if outcome.rows:
        for name, (title, draw) in _PLOTS.items():
            plots.append({"title": title, "svg": _save(draw(outcome), folder / name)})
    page = _template().render(outcome=outcome, plots=plots, figures=FIGURES)
    write_whole(folder / "index.html", page.encode())
    return folder / "index.html"


def _save(figure: Figure, path: Path) -> str:
    figure.savefig(path.with_suffix(".png"), dpi=110)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    plt.close(figure)
    write_whole(path.with_suffix(".svg"), svg.getvalue().encode())
    return svg.getvalue()[svg.getvalue().index("<svg") :]


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(
        "page.html"
    )
