"""The picture of a network: title, rows of boxes with what is in them, bars of what each costs, legend."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from dlkit.drawing.boxes import draw
from dlkit.drawing.canvas import SOFT, Canvas, Point
from dlkit.drawing.cells import Cell, cells_of, links_of
from dlkit.drawing.colours import COLOURS, group_of
from dlkit.quantities import magnitude, size, times
from dlkit.summary import Summary

MARGIN, CELL, NARROWEST = 0.4, 1.72, 8.0
"""Widths of the margin, of a column and of the whole picture at least, in inches."""
COLUMNS = 13
"""In a row, at most."""
TITLE, LEGEND, ARCS, BOXES, LINE, BARS = 1.3, 0.45, 0.75, 2.55, 0.155, 1.35
"""Heights of the parts, in inches; of text, a line's."""
Links = list[tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Row:
    """Cells side by side; `left` and `ground` are the lower left corner of its boxes."""

    cells: list[Cell]
    left: float
    ground: float

    def centre(self, column: int) -> float:
        return self.left + CELL * (column + 0.5)

    @property
    def middle(self) -> float:
        return self.ground + BOXES / 2


def draw_network(summary: Summary, paper: str, path: Path) -> None:
    """Write a PNG of the network to `path`; the same network gives the same bytes."""
    cells, links = cells_of(summary), links_of(summary)
    count = math.ceil(len(cells) / COLUMNS)
    columns = math.ceil(len(cells) / count)
    above = BOXES + (ARCS if any(target - source != 1 for source, target in links) else 0)
    below = LINE * (max(len(cell.text) for cell in cells) + 3)
    width = max(2 * MARGIN + CELL * columns, NARROWEST)
    canvas = Canvas(width, TITLE + count * (above + below + 2 * BARS) + LEGEND)
    _draw_title(canvas, summary, paper)
    for number in range(count):
        top = canvas.height - TITLE - number * (above + below + 2 * BARS)
        row = Row(cells[number * columns : (number + 1) * columns], (width - CELL * columns) / 2, top - above)
        _draw_links(canvas, row, links)
        _draw_boxes(canvas, row)
        _draw_bars(canvas, row, top - above - below - BARS, "parameters", cells, lambda cell: cell.parameters)
        _draw_bars(canvas, row, top - above - below - 2 * BARS, "multiply-adds", cells, lambda cell: cell.multiply_adds)
    _draw_legend(canvas, summary)
    canvas.save(path)


def _draw_title(canvas: Canvas, summary: Summary, paper: str) -> None:
    room, top = canvas.width - 2 * MARGIN, canvas.height
    inputs, outputs = (" and ".join(times(shape) for shape in shapes) for shapes in (summary.inputs, summary.outputs))
    facts = (
        f"{inputs} → {outputs}",
        f"{summary.parameters:,} parameters",
        f"{magnitude(summary.multiply_adds)} multiply-adds",
        f"activations {size(4 * summary.peak_elements)} float32, {size(summary.peak_elements)} int8",
    )
    canvas.text((MARGIN, top - 0.42), summary.name, 20, room, ha="left", weight="bold")
    canvas.text((MARGIN, top - 0.76), "   ·   ".join(facts), 10, room, ha="left")
    canvas.text((MARGIN, top - 0.99), paper, 8.5, room, ha="left", color=SOFT)


def _draw_boxes(canvas: Canvas, row: Row) -> None:
    """Boxes, and below them their names, shapes and what they are built of."""
    for column, cell in enumerate(row.cells):
        centre, low = row.centre(column), row.ground - LINE
        draw(canvas, cell.box, centre - cell.box.across / 2, row.middle)
        canvas.text((centre, low), cell.name, 8.5, CELL - 0.12, weight="bold")
        canvas.text((centre, low - LINE), cell.shape, 8, CELL - 0.12)
        for number, line in enumerate(cell.text, start=2):
            canvas.text((centre, low - LINE * number), line, 7, CELL - 0.1, color=SOFT)


def _draw_links(canvas: Canvas, row: Row, links: Links) -> None:
    """Straight arrows to the next box, also that of the next row, and arcs over the boxes to others."""
    columns = {cell.number: column for column, cell in enumerate(row.cells)}
    for source, target in links:
        start, end = columns.get(source), columns.get(target)
        if target == source + 1:
            _draw_straight(canvas, row, start, end)
        elif start is not None and end is not None:
            _draw_arc(canvas, row, start, end)


def _draw_arc(canvas: Canvas, row: Row, source: int, target: int) -> None:
    """From box to box, above all between."""
    first, last = sorted((source, target))
    highest = max(_over(row, column)[1] for column in range(first, last + 1))
    canvas.arc(_over(row, source), _over(row, target), highest + 0.15 + 0.04 * (last - first))


def _draw_straight(canvas: Canvas, row: Row, source: int | None, target: int | None) -> None:
    """From column to column; to or from the edge of the row where that is None."""
    if source is None and target is None:
        return
    start, end = row.left, row.left + CELL * len(row.cells)
    if source is not None:
        start = row.centre(source) + row.cells[source].box.across / 2 + 0.04
    if target is not None:
        end = row.centre(target) - row.cells[target].box.across / 2 - 0.04
    canvas.arrow((start, row.middle), (end, row.middle))


def _over(row: Row, column: int) -> Point:
    return row.centre(column), row.middle + row.cells[column].box.up / 2 + 0.04


def _draw_bars(
    canvas: Canvas, row: Row, ground: float, what: str, cells: list[Cell], count: Callable[[Cell], int]
) -> None:
    """One bar a stage, on the scale of all `cells`; `ground` is the bottom of its strip."""
    ground, highest = ground + 0.12, max(1, *(count(cell) for cell in cells))
    canvas.line((row.left, ground), (row.left + CELL * len(row.cells), ground))
    canvas.text((row.left, ground + BARS - 0.28), what, 8.5, ha="left", weight="bold")
    for column, cell in enumerate(row.cells):
        if cell.number:
            centre, height = row.centre(column), (BARS - 0.62) * count(cell) / highest
            canvas.rectangle((centre - 0.32, ground), 0.64, height, cell.colour)
            canvas.text((centre, ground + height + 0.1), magnitude(count(cell)), 8, CELL - 0.1)


def _draw_legend(canvas: Canvas, summary: Summary) -> None:
    used = {group_of(layer) for layer in summary.layers}
    x = MARGIN
    for group in (group for group in COLOURS if group in used):
        canvas.rectangle((x, 0.2), 0.16, 0.12, COLOURS[group])
        canvas.text((x + 0.22, 0.26), group, 8, ha="left", color=SOFT)
        x += 0.45 + 0.068 * len(group)
