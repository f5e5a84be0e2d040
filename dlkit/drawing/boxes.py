"""A stage as a box: height and depth say its resolution, width its channels and layers, slices its layers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from dlkit.drawing.canvas import Canvas
from dlkit.drawing.colours import COLOURS, group_of, shaded
from dlkit.summary import Stage
from dlkit.summary.blocks import kernels_of

TALLEST, LOWEST = 2.0, 0.3
WIDEST, NARROWEST, THIN = 0.95, 0.12, 0.25
SLANT = (0.30, 0.22)
"""How far the back of a box lies to the right and above, for each inch of its depth."""
SLICES = 48
"""More cannot be told apart; of more layers the first and the last are shown."""


@dataclasses.dataclass(frozen=True)
class Box:
    """Sizes in inches; `depth` is measured along the slant; `slices` are colours from left to right."""

    width: float
    height: float
    depth: float
    slices: tuple[str, ...]

    @property
    def across(self) -> float:
        """From the left edge of its front to the right edge of its back."""
        return self.width + self.depth * SLANT[0]

    @property
    def up(self) -> float:
        return self.height + self.depth * SLANT[1]


@dataclasses.dataclass(frozen=True)
class Scale:
    """The largest height, width or length in a network, and the most units of a vector."""

    side: int
    units: int


def scale_of(shapes: Sequence[tuple[int, ...]]) -> Scale:
    """That of a network with these inputs and stages."""
    sides = [side or 1 for shape in shapes for side in shape[:-1]]
    units = [shape[0] or 1 for shape in shapes if len(shape) == 1]
    return Scale(max(sides, default=1), max(units, default=1))


def box_of(stage: Stage, scale: Scale) -> Box:
    """The box of a stage."""
    kernels = {id(layer) for layer in kernels_of(stage)}
    shown = [layer for layer in stage.layers if id(layer) in kernels or not layer.multiply_adds]
    groups = [group for layer in shown if (group := group_of(layer))]
    colours = tuple(COLOURS[group] for group in _thinned(groups or ["other"]))
    return Box(_width(stage.output[-1] or 1, len(groups), len(stage.output)), *_face(stage.output, scale), colours)


def box_of_input(shape: tuple[int, ...], scale: Scale, colour: str) -> Box:
    """A thin one: the channels of an input are few."""
    return Box(NARROWEST, *_face(shape, scale), (colour,))


def draw(canvas: Canvas, box: Box, left: float, middle: float) -> None:
    """`left` of its front; `middle` of its height, back and all."""
    dx, dy = box.depth * SLANT[0], box.depth * SLANT[1]
    low = middle - box.up / 2
    high, step = low + box.height, box.width / len(box.slices)
    edge = "white" if step > 0.03 else "none"
    for i, colour in enumerate(box.slices):
        x, end = left + i * step, left + (i + 1) * step
        canvas.polygon([(x, low), (end, low), (end, high), (x, high)], colour, edge)
        canvas.polygon([(x, high), (end, high), (end + dx, high + dy), (x + dx, high + dy)], shaded(colour, 1.45), edge)
    right, last = left + box.width, shaded(box.slices[-1], 0.72)
    canvas.polygon([(right, low), (right + dx, low + dy), (right + dx, high + dy), (right, high)], last, edge)


def _face(shape: tuple[int, ...], scale: Scale) -> tuple[float, float]:
    """Height and depth: of a map by its resolution, of a sequence by its length, of a vector by its units."""
    if len(shape) == 1:
        return max(LOWEST, 0.75 * TALLEST * math.sqrt((shape[0] or 1) / scale.units)), THIN
    sides = [max(LOWEST, TALLEST * math.sqrt((side or 1) / scale.side)) for side in shape[:-1]]
    return sides[0], sides[1] if len(sides) > 1 else THIN


def _width(channels: int, layers: int, axes: int) -> float:
    if axes == 1:
        return NARROWEST
    grown = 0.5 * math.log2(channels) / 11 + 0.5 * math.log2(layers + 1) / 7
    return NARROWEST + (WIDEST - NARROWEST) * min(1.0, grown)


def _thinned(groups: Sequence[str]) -> list[str]:
    return [*groups] if len(groups) <= SLICES else [*groups[: SLICES // 2], *groups[-SLICES // 2 :]]
