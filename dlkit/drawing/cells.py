"""What is drawn and said in the columns of a network's picture, and which leads to which."""

from __future__ import annotations

import collections
import dataclasses
import re
import textwrap

from dlkit.drawing.boxes import Box, box_of, box_of_input, scale_of
from dlkit.drawing.colours import COLOURS, INPUT, group_of
from dlkit.quantities import times
from dlkit.summary import Stage, Summary
from dlkit.summary.blocks import described

LETTERS = 26
"""Of text that fit in a column."""
LINES = 7
"""Of text, at most."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One column: a stage, or the input, which has no costs.

    Attributes:
        number: 0 for the input, then the stages from 1.
        colour: of its bars.
    """

    number: int
    box: Box
    name: str
    shape: str
    text: tuple[str, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    colour: str = INPUT


def cells_of(summary: Summary) -> list[Cell]:
    """The input, then each stage."""
    scale = scale_of([*summary.inputs, *(stage.output for stage in summary.stages)])
    given = " and ".join(times(shape) for shape in summary.inputs)
    cells = [Cell(0, box_of_input(summary.input, scale, INPUT), "input", given)]
    for number, stage in enumerate(summary.stages, start=1):
        lines = [line for text in described(stage) for line in _wrapped(text)]
        cells.append(
            Cell(
                number,
                box_of(stage, scale),
                name=f"stage {number}" if stage.name == str(number) else stage.name,
                shape=times(stage.output),
                text=tuple(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]),
                parameters=stage.parameters,
                multiply_adds=stage.multiply_adds,
                colour=COLOURS[_main_group(stage)],
            )
        )
    return cells


def links_of(summary: Summary) -> list[tuple[int, int]]:
    """Pairs of numbers of cells of which the second takes what the first gives."""
    number = {position: place for place, stage in enumerate(summary.stages, start=1) for position in stage.members}
    links = {
        (number[maker], number[position])
        for position, layer in enumerate(summary.layers)
        for maker in layer.inputs
        if number[position] != number[maker]
    }
    links |= {(0, number[position]) for position, layer in enumerate(summary.layers) if not layer.inputs}
    return sorted(links)


def _wrapped(text: str) -> list[str]:
    """Lines that fit, broken between layers and before what is said of their joins."""
    kept = re.sub(r"(?<!,)(?<!\]) (?!\+|in )", "\u00a0", text)
    return textwrap.wrap(kept, LETTERS)


def _main_group(stage: Stage) -> str:
    """The kind of layer that does most of a stage's work."""
    work: collections.Counter[str] = collections.Counter()
    for layer in stage.layers:
        work[group_of(layer) or "other"] += layer.multiply_adds
    return work.most_common(1)[0][0]
