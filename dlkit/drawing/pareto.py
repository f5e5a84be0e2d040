"""A picture of files: what each is worth by its size and by its time, and the front that nothing beats."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.drawing.canvas import DPI, INK, SOFT
from dlkit.extras import require

PALETTE = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2", "#ffbf79", "#9ecae9", "#d8b365")
MARKERS = ("o", "s", "^", "D", "v")
_Point = tuple[float, float, bool, int]
"""Cost, worth, whether it is on the front, and the file's number."""


@dataclasses.dataclass(frozen=True)
class Marked:
    """A file.

    Attributes:
        latency_ms: None where it was not timed.
        worth: its metric; more is better.
        smallest, fastest: whether it is on the front of size, and on that of time.
    """

    name: str
    bytes: int
    latency_ms: float | None
    worth: float
    smallest: bool
    fastest: bool


def draw_pareto(files: Sequence[Marked], metric: str, title: str, path: Path) -> None:
    """Write a PNG whose bytes depend on what is drawn alone. Raises ExtraMissing without matplotlib."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of building its font cache
    matplotlib = require("matplotlib")
    figures, agg = require("matplotlib.figure"), require("matplotlib.backends.backend_agg")
    panels: list[tuple[str, list[_Point]]] = [
        ("size in kB", [(each.bytes / 1e3, each.worth, each.smallest, n) for n, each in enumerate(files)]),
        (
            "time of an inference in ms",
            [(f.latency_ms, f.worth, f.fastest, n) for n, f in enumerate(files) if f.latency_ms is not None],
        ),
    ]
    panels = [panel for panel in panels if panel[1]]
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = figures.Figure(
            figsize=(4.6 * len(panels) + 1.6, 4.0), dpi=DPI, facecolor="white", layout="constrained"
        )
        agg.FigureCanvasAgg(figure)
        figure.suptitle(title, color=INK, fontsize=11, parse_math=False)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (label, points) in zip(axes, panels, strict=True):
            _panel(panel, points, label, metric.replace("_", " "))
        _legend(figure, files)
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _style(number: int) -> dict[str, Any]:
    """Colour and shape of a file, in every panel."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number // len(PALETTE) % len(MARKERS)]}


def _panel(panel: Any, points: Sequence[_Point], label: str, metric: str) -> None:
    on_front = sorted((cost, worth) for cost, worth, good, _ in points if good)
    panel.plot(*zip(*on_front, strict=True), color=SOFT, linewidth=1.2, zorder=1, drawstyle="steps-post")
    for cost, worth, good, number in points:
        edge = {"edgecolors": INK if good else "none", "linewidths": 1.2}
        panel.scatter([cost], [worth], s=64 if good else 40, zorder=3 if good else 2, **_style(number), **edge)
    panel.set_xscale("log")
    for axis in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
        axis(lambda value, _: f"{value:g}")
    panel.margins(0.08, 0.12)
    panel.set_xlabel(label, color=SOFT, fontsize=8)
    panel.set_ylabel(metric, color=SOFT, fontsize=8)
    panel.tick_params(labelsize=7, colors=SOFT, which="both")
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _legend(figure: Any, files: Sequence[Marked]) -> None:
    """Names beside the panels; those on a front are bordered there as in the panels."""
    lines = require("matplotlib.lines")
    handles = [
        lines.Line2D(
            [], [], linestyle="none", markersize=6, label=file.name, **_style(number),
            markeredgecolor=INK if file.smallest or file.fastest else "none",
        )
        for number, file in enumerate(files)
    ]  # fmt: skip
    legend = figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
