"""A sheet measured in inches, from its lower left corner, on which to draw; matplotlib underneath."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.extras import require

DPI = 160
INK, SOFT = "#22262b", "#6b7280"
"""Colours of what is to be read first, and of what is beside it."""
Point = tuple[float, float]


class Canvas:
    """A white sheet of `width` × `height` inches.

    It looks the same whatever settings the user has for matplotlib.
    """

    def __init__(self, width: float, height: float) -> None:
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of building its font cache
        self._matplotlib = require("matplotlib")
        with self._settings():
            self._figure = require("matplotlib.figure").Figure(figsize=(width, height), dpi=DPI, facecolor="white")
            self._renderer = require("matplotlib.backends.backend_agg").FigureCanvasAgg(self._figure).get_renderer()
            self._axes = self._figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
            self._axes.set_axis_off()
        self.width, self.height = width, height

    def polygon(self, corners: Sequence[Point], colour: str, edge: str = "none", line: float = 0.5) -> None:
        """A filled area; `line` is the width of its edge in points."""
        style = {"facecolor": colour, "edgecolor": edge, "linewidth": line, "joinstyle": "round"}
        self._axes.add_patch(self._patches.Polygon(corners, closed=True, **style))

    def rectangle(self, corner: Point, width: float, height: float, colour: str) -> None:
        """An upright one; `corner` is the lower left."""
        x, y = corner
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)

    def line(self, start: Point, end: Point, colour: str = SOFT, width: float = 0.8) -> None:
        self._axes.plot(*zip(start, end, strict=True), color=colour, linewidth=width, solid_capstyle="butt", zorder=0)

    def arrow(self, start: Point, end: Point) -> None:
        """A straight one, under what else is drawn."""
        path = self._matplotlib.path.Path([start, end])
        self._add_arrow(path, color=SOFT, zorder=0)

    def arc(self, start: Point, end: Point, apex: float) -> None:
        """An arrow over what lies between; `apex` is the height of its highest point."""
        path = self._matplotlib.path.Path
        control = (apex - (start[1] + end[1]) / 8) / 0.75
        corners = [start, (start[0], control), (end[0], control), end]
        self._add_arrow(path(corners, [path.MOVETO, *[path.CURVE4] * 3]), color="#9aa1ab", fill=False, zorder=3)

    def _add_arrow(self, path: Any, **style: Any) -> None:
        head = {"arrowstyle": "-|>,head_length=3,head_width=1.6", "mutation_scale": 1, "shrinkA": 0, "shrinkB": 0}
        self._axes.add_patch(self._patches.FancyArrowPatch(path=path, linewidth=0.9, **head, **style))

    def text(self, place: Point, text: str, points: float = 8, room: float = 0, **style: Any) -> None:
        """`text` at `place`, smaller than `points` where it would be wider than `room` inches."""
        style = {"color": INK, "ha": "center", "va": "center", **style}
        with self._settings():
            written = self._axes.text(*place, text, fontsize=points, parse_math=False, **style)
            width = written.get_window_extent(self._renderer).width / DPI
            if room and width > room:
                written.set_fontsize(points * room / width)

    def save(self, path: Path) -> None:
        """Write a PNG whose bytes depend on what was drawn alone."""
        with self._settings():
            self._figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})

    @property
    def _patches(self) -> Any:
        return require("matplotlib.patches")

    def _settings(self) -> Any:
        return self._matplotlib.rc_context(self._matplotlib.rcParamsDefault)
