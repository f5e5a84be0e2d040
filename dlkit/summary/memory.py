"""How many activations must be kept at once when the layers run one after another."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.summary.layers import IN_PLACE, PADDING, VIEWS, Layer


def peak_elements(layers: Sequence[Layer]) -> int:
    """The largest sum of the tensors alive at once, for one input.

    A tensor is alive from the layer that makes it to the last that takes it; outputs of the model stay.
    A layer that reads its input in another way, is folded into the layer before it or the convolution
    after it, or writes its result where its input was, makes no tensor.
    """
    places = _places(layers)
    last = _last_uses(layers, places)
    alive: dict[int, int] = {}
    peak = 0
    for position, place in enumerate(places):
        alive[place] = layers[place].elements
        peak = max(peak, sum(alive.values()))
        alive = {kept: elements for kept, elements in alive.items() if last[kept] > position}
    return peak


def _places(layers: Sequence[Layer]) -> list[int]:
    """For each layer the position of the one whose tensor holds its result: its own, or that of its input's."""
    users: list[list[int]] = [[] for _ in layers]
    for position, layer in enumerate(layers):
        for maker in layer.inputs:
            users[maker].append(position)
    places: list[int] = []
    used_until: dict[int, int] = {}
    for position, layer in enumerate(layers):
        place = position
        if layer.inputs and _makes_no_tensor(layers, position, users, used_until.get(places[layer.inputs[0]], 0)):
            place = places[layer.inputs[0]]
        places.append(place)
        end = len(layers) if layer.is_output else max(users[position], default=position)
        used_until[place] = max(used_until.get(place, 0), end)
    return places


def _makes_no_tensor(layers: Sequence[Layer], position: int, users: list[list[int]], needed_until: int) -> bool:
    layer = layers[position]
    if layer.kind in PADDING:
        return bool(users[position]) and all("Conv" in layers[user].kind for user in users[position])
    return layer.kind in VIEWS or (layer.kind in IN_PLACE and needed_until <= position)


def _last_uses(layers: Sequence[Layer], places: list[int]) -> dict[int, int]:
    last: dict[int, int] = {}
    for position, layer in enumerate(layers):
        for maker in layer.inputs:
            last[places[maker]] = position
    last |= {places[position]: len(layers) for position, layer in enumerate(layers) if layer.is_output}
    return {place: last.get(place, place) for place in places}
