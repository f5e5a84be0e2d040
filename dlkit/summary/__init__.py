"""What a built Keras model is made of: layers, stages, parameters, multiply-adds, bytes.

`layers` reads them from Keras and `counting` knows what a layer computes; `stages`, `blocks` and
`memory` work on what was read and know nothing of Keras.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from dlkit.summary.blocks import described
from dlkit.summary.layers import Layer, layers_of
from dlkit.summary.memory import peak_elements
from dlkit.summary.stages import Stage, stages_of

if TYPE_CHECKING:
    import keras

__all__ = ["Layer", "Stage", "Summary", "multiply_adds", "summarize"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """A model; shapes are without the batch.

    Attributes:
        inputs, outputs: a shape each.
        layers: in the order in which they are computed, those of nested models in their place.
        stages: the same layers, by resolution.
        peak_elements: the largest number of activations that must be kept at once, for one input.
        float_bytes, int8_bytes: of the parameters alone, at 4 and at 1 byte each.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    peak_elements: int

    @property
    def input(self) -> tuple[int, ...]:
        return self.inputs[0]

    @property
    def output(self) -> tuple[int, ...]:
        return self.outputs[0]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        return sum(layer.trainable for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def float_bytes(self) -> int:
        return 4 * self.parameters

    @property
    def int8_bytes(self) -> int:
        return self.parameters

    def as_dict(self) -> dict[str, Any]:
        """What `dlkit build --json` prints of it."""
        return {
            "name": self.name,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "multiply_adds": self.multiply_adds,
            "weight_bytes": {"float32": self.float_bytes, "int8": self.int8_bytes},
            "peak_activation_bytes": {"float32": 4 * self.peak_elements, "int8": self.peak_elements},
            "stages": [stage.as_dict() | {"blocks": described(stage)} for stage in self.stages],
        }


def summarize(model: keras.Model) -> Summary:
    """The summary of a functional or sequential model."""
    layers = layers_of(model)
    inputs, outputs = (tuple(tuple(x.shape[1:]) for x in tensors) for tensors in (model.inputs, model.outputs))
    return Summary(model.name, inputs, outputs, layers, stages_of(layers), peak_elements(layers))


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one forward pass of one input."""
    return sum(layer.multiply_adds for layer in layers_of(model))
