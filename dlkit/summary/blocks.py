"""What a stage is built of, in words: "36 × [1×1, 3×3, 1×1] + shortcut"."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from dlkit.quantities import times
from dlkit.summary.layers import Layer
from dlkit.summary.stages import FACTOR, Stage

ADDS = {"Add", "CustomScaleLayer"}
WORDS = {"Conv": "", "DepthwiseConv": "dw ", "SeparableConv": "sep ", "ConvTranspose": "up "}
Run = tuple[int, tuple[str, ...]]
"""How many times, and what."""


def described(stage: Stage) -> list[str]:
    """A line for each run of equal blocks along the longest way through the stage."""
    lines = [line for count, unit in repeated(_blocks(stage)) for line in _lines(count, unit)]
    kinds = {layer.kind for layer in stage.layers}
    if "Multiply" in kinds and any(kind.startswith("GlobalAverage") for kind in kinds):
        lines.append("squeeze-excite")
    return lines


def kernels_of(stage: Stage) -> list[Layer]:
    """Its layers with kernels, but for those of side branches at another resolution (squeeze and excitation)."""
    kernels = [layer for layer in stage.layers if layer.multiply_adds]
    return [layer for layer in kernels if _near(layer.output, stage.output)] or kernels


def repeated(blocks: Sequence[str]) -> list[Run]:
    """`blocks` as runs of the shortest unit that repeats most; two of a kind among others are no run.

    >>> repeated(["a", "b", "c", "b", "c", "d"])
    [(1, ('a',)), (2, ('b', 'c')), (1, ('d',))]
    """
    blocks = tuple(blocks)
    best, covered = None, 0
    for length in range(1, len(blocks) // 2 + 1):
        for start in range(len(blocks) - 2 * length + 1):
            count = _repetitions(blocks, start, length)
            if count > 1 and count * length > covered:
                best, covered = (start, length, count), count * length
    if best is None or (covered == 2 < len(blocks) and "[" not in blocks[best[0]]):
        return [(1, blocks)] if blocks else []
    start, length, count = best
    end = start + covered
    return [*repeated(blocks[:start]), (count, blocks[start : start + length]), *repeated(blocks[end:])]


def _repetitions(blocks: tuple[str, ...], start: int, length: int) -> int:
    count, unit = 1, blocks[start : start + length]
    while blocks[start + count * length : start + (count + 1) * length] == unit:
        count += 1
    return count


def _lines(count: int, unit: tuple[str, ...]) -> list[str]:
    """One line for a run; blocks that are there once stand apart from the layers between them."""
    if count > 1:
        return [f"{count} × {_alone(unit[0]) if len(unit) == 1 else '[' + ', '.join(unit) + ']'}"]
    lines: list[str] = []
    for joined, words in itertools.groupby(unit, key=lambda block: "+" in block or " in " in block):
        blocks = list(words)
        lines += blocks if joined else [_alone(blocks[0]) if len(blocks) == 1 else ", ".join(blocks)]
    return lines


def _alone(block: str) -> str:
    return f"conv {block}" if block[0].isdigit() else block


@dataclasses.dataclass(frozen=True)
class _Join:
    """Where branches meet: the layers between `fork` and `end`, places on the way, are one of them."""

    fork: int
    end: int
    text: str


def _blocks(stage: Stage) -> list[str]:
    """The words of the layers on the longest way; what lies between a fork and its join is one block."""
    way = _way(stage)
    kernels = {id(layer) for layer in kernels_of(stage)}
    words = [_word(layer) if id(layer) in kernels else "" for layer in (dict(_numbered(stage))[i] for i in way)]
    joins = sorted(_joins(stage, way), key=lambda join: (join.fork, -join.end))
    blocks: list[str] = []
    place = 0
    while place < len(way):
        block = next((join for join in joins if join.fork == place - 1), None)
        end = block.end if block else place
        inside = [word for word in words[place : end + 1] if word]
        if inside:
            blocks.append(_block(inside, block.text + _within(joins, block) if block else ""))
        place = end + 1
    return blocks


def _block(words: list[str], joined: str) -> str:
    if not joined:
        return words[0]
    return f"[{', '.join(words)}]{joined}" if len(words) > 1 else f"{_alone(words[0])}{joined}"


def _within(joins: list[_Join], block: _Join) -> str:
    """Of the branches within a block, if the block is not made of them."""
    inner = [join.text for join in joins if block.fork <= join.fork and join.end < block.end and "branch" in join.text]
    return inner[0] if inner and "branch" not in block.text else ""


def _way(stage: Stage) -> list[int]:
    """Positions of the layers on the way through the stage that passes most kernels."""
    kernels = {id(layer) for layer in kernels_of(stage)}
    best: dict[int, tuple[int, int]] = {}  # kernels and layers until here
    before: dict[int, int] = {}
    for position, layer in _numbered(stage):
        inputs = [i for i in layer.inputs if i in best]
        source = max(inputs, key=lambda i: best[i], default=None)
        passed, length = best[source] if source is not None else (0, 0)
        best[position] = passed + (id(layer) in kernels), length + 1
        if source is not None:
            before[position] = source
    way = [max(best, key=lambda i: best[i])]
    while way[-1] in before:
        way.append(before[way[-1]])
    return way[::-1]


def _joins(stage: Stage, way: list[int]) -> list[_Join]:
    layers = dict(_numbered(stage))
    places = {position: place for place, position in enumerate(way)}
    joins = []
    for end, position in enumerate(way):
        layer = layers[position]
        if layer.kind not in (*ADDS, "Concatenate") or len(layer.inputs) < 2:
            continue
        forks = [_fork(i, layers, places) for i in layer.inputs if end == 0 or i != way[end - 1]]
        direct = any(i in places and places[i] < end - 1 for i in layer.inputs)
        if layer.kind in ADDS:
            text = " + shortcut"
        else:
            text = " + concat" if direct or None in forks else f" in {len(layer.inputs)} branches"
        joins.append(_Join(min((end - 2 if fork is None else fork for fork in forks), default=end - 2), end, text))
    return joins


def _fork(position: int, layers: dict[int, Layer], places: dict[int, int]) -> int | None:
    """The place on the way from which a branch comes that ends at `position`.

    -1 if it comes into the stage as the way does; None if all of it is in another stage.
    """
    if position not in layers:
        return None
    while position not in places:
        inputs = layers[position].inputs
        if not inputs or inputs[0] not in layers:
            return -1
        position = inputs[0]
    return places[position]


def _numbered(stage: Stage) -> zip[tuple[int, Layer]]:
    return zip(stage.members, stage.layers, strict=True)


def _word(layer: Layer) -> str:
    """How a layer is called: "3×3", "dw 3×3", "LSTM"."""
    family = layer.kind.replace("1D", "").replace("2D", "").replace("3D", "")
    if layer.window and family in WORDS:
        return WORDS[family] + times(layer.window)
    return "dense" if layer.kind == "Dense" else layer.kind


def _near(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two outputs are at one resolution, near enough for one stage."""
    if len(shape) != len(other):
        return False
    return all(max(a, b) < FACTOR * min(a, b) for a, b in zip(shape[:-1], other[:-1], strict=True) if a and b)
