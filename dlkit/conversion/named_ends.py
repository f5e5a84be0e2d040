"""The inputs and outputs of a Keras model under the names they have in an exported file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlkit.frameworks import keras


def input_names(model: keras.Model) -> list[str]:
    """A name for each input, in Keras' order: that of its Input layer, in letters that a signature may have."""
    return _different([tensor._keras_history.operation.name for tensor in model.inputs])


def output_names(model: keras.Model) -> list[str]:
    """A name for each output, in Keras' order: "output" if there is one, else the layer that computes it."""
    if len(model.outputs) == 1:
        return ["output"]
    return _different([tensor._keras_history.operation.name for tensor in model.outputs])


def arranged(model: keras.Model, named: Mapping[str, Any]) -> Any:
    """What is given by name, as the model is called with it: a tensor, a list, or the table it was built with."""
    flat = [named[name] for name in input_names(model)]
    functional = getattr(model, "_functional", None) or model
    structure = getattr(functional, "_inputs_struct", None)
    return flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)


def by_name(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """What the model computed, whatever it is packed in, by name."""
    return dict(zip(output_names(model), keras.tree.flatten(outputs), strict=True))


def _different(names: Sequence[str]) -> list[str]:
    """`names` as identifiers; one that was there before gets a number."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"\W", "_", name)
        again = [f"{plain}_{number}" for number in range(1, len(names) + 1)]
        found.append(next(candidate for candidate in (plain, *again) if candidate not in found))
    return found
