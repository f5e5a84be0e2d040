"""A picture of files: what each is worth by its size and by its time, and the front that nothing beats."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.drawing.canvas import DPI, INK, SOFT
from dlkit.extras import require

ON_FRONT, BESIDE = "#4c78a8", "#bab0ac"


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
    by_size = [(each.name, each.bytes / 1e3, each.worth, each.smallest) for each in files]
    by_time = [(f.name, f.latency_ms, f.worth, f.fastest) for f in files if f.latency_ms is not None]
    panels = [("size in kB", by_size), *([("time of an inference in ms", by_time)] if by_time else [])]
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = figures.Figure(figsize=(5.6 * len(panels), 4.2), dpi=DPI, facecolor="white", layout="constrained")
        agg.FigureCanvasAgg(figure)
        figure.suptitle(title, color=INK, fontsize=11, parse_math=False)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (label, points) in zip(axes, panels, strict=True):
            _panel(panel, points, label, metric.replace("_", " "))
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _panel(panel: Any, points: Sequence[tuple[str, float, float, bool]], label: str, metric: str) -> None:
    on_front = sorted((cost, worth) for _, cost, worth, good in points if good)
    panel.plot(*zip(*on_front, strict=True), color=ON_FRONT, linewidth=1.2, zorder=1, drawstyle="steps-post")
    places: dict[tuple[float, float], list[str]] = {}
    for name, cost, worth, good in sorted(points, key=lambda point: point[1:3]):
        panel.scatter([cost], [worth], s=34, color=ON_FRONT if good else BESIDE, zorder=2)
        places.setdefault((cost, worth), []).append(name)
    for number, ((cost, worth), names) in enumerate(places.items()):
        # Files of like worth stand in a row: their names go up and down in turns.
        above = number % 2 == 0
        panel.annotate(
            ", ".join(names),
            (cost, worth),
            xytext=(0, 7 + 9 * (number // 2 % 3) if above else -13 - 9 * (number // 2 % 3)),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
            parse_math=False,
        )
    panel.set_xscale("log")
    panel.margins(0.15, 0.35)
    panel.set_xlabel(label, color=SOFT, fontsize=8)
    panel.set_ylabel(metric, color=SOFT, fontsize=8)
    panel.tick_params(labelsize=8, colors=SOFT, which="both")
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
