"""Stages of a network: runs of layers at one resolution.

A layer opens a stage where its output is at least 1.5 times smaller or larger, along an axis of
the image or sequence, than its input; so do the dense and recurrent layers with weights, which
are the stages of a network that has no resolution. A branch that meets the others again at
their resolution (a shortcut, squeeze and excitation) is in their stage. A stage without kernels
(a pooling, the input) belongs to the next one, at the end of the network to the one before.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

from dlkit.quantities import times
from dlkit.summary.layers import IN_PLACE, PADDING, RECURRENT, VIEWS, Layer

FACTOR = 1.5
QUIET = IN_PLACE | PADDING | VIEWS | {"InputLayer"}
"""Kinds that are not worth a word about what is in a stage."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of layers at one resolution.

    Attributes:
        name: what the names of its layers begin with, or of its only kernel, if no other stage is called that;
            else its number, from 1.
        output: shape of what it hands on, without the batch.
        members: positions of its layers among all of the network.
    """

    name: str
    output: tuple[int, ...]
    layers: tuple[Layer, ...]
    members: tuple[int, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def contents(self) -> str:
        """The layers that count, those with kernels first: "36 Conv2D 3×3, 1 MaxPooling2D"."""
        heard = [layer for layer in self.layers if layer.kind not in QUIET]
        heard.sort(key=lambda layer: layer.multiply_adds == 0)
        counts: dict[str, collections.Counter[str]] = {}
        for layer in heard:
            window = times(layer.window) if layer.multiply_adds else ""
            counts.setdefault(layer.kind, collections.Counter())[window] += 1
        return ", ".join(text for kind, windows in counts.items() for text in _counted(kind, windows))

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "output": self.output,
            "contents": self.contents,
            "layers": [layer.name for layer in self.layers],
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
        }


def _counted(kind: str, windows: collections.Counter[str]) -> list[str]:
    """ "4 Conv2D 1×1", "2 Conv2D 3×3"; of more than two windows one text, "9 Conv2D 1×1/3×3/5×5"."""
    if len(windows) > 2:
        windows = collections.Counter({"/".join(windows): windows.total()})
    return [f"{count} {kind} {window}".rstrip() for window, count in windows.items()]


def stages_of(layers: Sequence[Layer]) -> tuple[Stage, ...]:
    """The stages in the order of their first layers; those of further outputs after those of the deepest."""
    members = _heads_last(layers, _merged(layers, _assigned(layers)))
    names = _names([[layers[i] for i in positions] for positions in members])
    users = _users(layers)
    stages = []
    for name, positions in zip(names, members, strict=True):
        inside = set(positions)
        given = [i for i in positions if layers[i].is_output or not inside.issuperset(users[i])]
        output = layers[max(given or positions, key=lambda i: layers[i].elements)].output
        stages.append(Stage(name, output, tuple(layers[i] for i in positions), tuple(positions)))
    return tuple(stages)


def _assigned(layers: Sequence[Layer]) -> list[int]:
    """For each layer the number of its stage, not yet in order."""
    levels: list[int] = []  # how many stages lie before this one
    stages: list[int] = []
    opened: dict[Any, int] = {}
    for position, layer in enumerate(layers):
        source = _main_input(layers, position, levels)
        if source is None or _opens(layer, layers[source]):
            levels.append(0 if source is None else levels[source] + 1)
            key: Any = position if _stands_alone(layer) else (levels[-1], _resolution(layer.output))
            stages.append(opened.setdefault(key, len(opened)))
        else:
            levels.append(levels[source])
            stages.append(stages[source])
    users = _users(layers)
    for position in reversed(range(len(layers))):
        back = min(users[position], key=lambda user: levels[user], default=position)
        # A side branch comes back to where it left; a padding is a part of what it is there for.
        if levels[back] < levels[position] or layers[position].kind in PADDING:
            levels[position], stages[position] = levels[back], stages[back]
    return _connected(layers, stages)


def _connected(layers: Sequence[Layer], stages: list[int]) -> list[int]:
    """The same with parts that do not touch told apart, as two heads of one kind; numbered by their last layers."""
    numbers = list(range(len(layers)))
    users = _users(layers)
    for position in reversed(range(len(layers))):
        beside = [numbers[user] for user in users[position] if stages[user] == stages[position]]
        if beside:
            numbers[position] = beside[0]
        if len(set(beside)) > 1:
            numbers = [beside[0] if number in beside else number for number in numbers]
    return numbers


def _main_input(layers: Sequence[Layer], position: int, levels: list[int]) -> int | None:
    """The input in whose stage a layer is: the deepest of those at its own resolution, if there are any."""
    layer = layers[position]
    same = [i for i in layer.inputs if _resolution(layers[i].output) == _resolution(layer.output)]
    return max(same or layer.inputs, key=lambda i: levels[i], default=None)


def _opens(layer: Layer, source: Layer) -> bool:
    if _stands_alone(layer):
        return True
    if layer.kind in PADDING:
        return False
    before, after = _resolution(source.output), _resolution(layer.output)
    if len(before) != len(after):
        return True
    return any(max(a, b) >= FACTOR * min(a, b) for a, b in zip(before, after, strict=True) if a and b)


def _stands_alone(layer: Layer) -> bool:
    """Whether a layer is a stage of its own: with weights, and recurrent or dense on a vector."""
    dense = layer.kind == "Dense" and len(layer.output) == 1
    return layer.multiply_adds > 0 and (dense or layer.kind in RECURRENT)


def _resolution(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width, or the length of a sequence; nothing for a vector."""
    return shape[:-1]


def _users(layers: Sequence[Layer]) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in layers]
    for position, layer in enumerate(layers):
        for maker in layer.inputs:
            users[maker].append(position)
    return users


def _merged(layers: Sequence[Layer], stages: list[int]) -> list[list[int]]:
    """Positions of the layers of each stage that has kernels, or of the only stage."""
    users, stages = _users(layers), list(stages)
    for stage in dict.fromkeys(stages):
        inside = [i for i, number in enumerate(stages) if number == stage]
        if any(layers[i].parameters and layers[i].kind not in QUIET for i in inside):
            continue
        after = [stages[user] for i in inside for user in users[i] if stages[user] != stage]
        before = [stages[maker] for i in inside for maker in layers[i].inputs if stages[maker] != stage]
        if all(layers[i].kind in QUIET and len(layers[i].output) > 1 for i in inside):  # a vector becomes a map
            after = before or after
        for i in inside:
            stages[i] = (after or before or [stage])[0]
    members: dict[int, list[int]] = {}
    for position, stage in enumerate(stages):
        members.setdefault(stage, []).append(position)
    return list(members.values())


def _heads_last(layers: Sequence[Layer], stages: list[list[int]]) -> list[list[int]]:
    """First, in order, the stages that lead to the deepest output; then those of others, the shallowest first."""
    ways = sorted((_leading_to(layers, i) for i, layer in enumerate(layers) if layer.is_output), key=len)
    ordered: list[list[int]] = []
    for way in [*ways[-1:], *ways[:-1], set(range(len(layers)))]:
        ordered += [positions for positions in stages if positions not in ordered and not way.isdisjoint(positions)]
    return ordered


def _leading_to(layers: Sequence[Layer], position: int) -> set[int]:
    """Positions of the layers that this one depends on, and its own."""
    found, left = {position}, [position]
    while left:
        new = set(layers[left.pop()].inputs) - found
        found |= new
        left += new
    return found


def _names(stages: list[list[Layer]]) -> list[str]:
    """For each what its layers share, its only kernel's name, or its number: the first with which no other begins."""
    kernels = [[layer.name for layer in layers if layer.multiply_adds] for layers in stages]
    names = [_shared_name(layers) for layers in stages]
    for otherwise in ([each[0] if len(each) == 1 else "" for each in kernels], map(str, range(1, len(stages) + 1))):
        good = [name and sum(f"{other}_".startswith(f"{name}_") for other in names) == 1 for name in names]
        names = [name if keep else other for keep, name, other in zip(good, names, otherwise, strict=True)]
    return names


def _shared_name(layers: Iterable[Layer]) -> str:
    """What the names of most layers with weights begin with, whole words only; "" if there is nothing."""
    names = [layer.name for layer in layers if layer.parameters] or [layer.name for layer in layers]
    if len(names) == 1:
        return names[0]
    words = [re.split(r"[_/.]", name) for name in names]
    best = ""
    for length in range(1, max(map(len, words)) + 1):
        beginnings = collections.Counter("_".join(w[:length]) for w in words if len(w) >= length)
        beginning, count = beginnings.most_common(1)[0]
        if 3 * count < 2 * len(names):
            break
        best = beginning
    return best
