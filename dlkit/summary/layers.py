"""The layers of a model in the order in which they are computed, and what each takes from which."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from dlkit.frameworks import keras
from dlkit.summary.counting import layer_multiply_adds

RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
PADDING = {f"{kind}{rank}D" for kind in ("ZeroPadding", "Cropping") for rank in (1, 2, 3)}
VIEWS = {"Flatten", "Reshape", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout",
         "AlphaDropout", "ActivityRegularization", "Identity"}  # fmt: skip
"""Gone at inference, or another reading of the same numbers."""
IN_PLACE = {"BatchNormalization", "Normalization", "Rescaling", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU",
            "Softmax"}  # fmt: skip
"""Folded into the layer before, or computed where their input is."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One call of a layer; shapes are without the batch.

    Attributes:
        name: "outer/inner" for a layer of a nested model.
        kind: its class.
        window: of a convolution or pooling, for instance (3, 3); else ().
        inputs: positions, among all the layers, of those whose outputs it takes.
        elements: of all its outputs together.
        parameters, trainable: 0 where an earlier call has counted them.
        is_output: whether the model gives its output away.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    window: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    elements: int = 0
    trainable: int = 0
    is_output: bool = False


def layers_of(model: keras.Model) -> tuple[Layer, ...]:
    """Every call of every layer, those of nested models in their place."""
    reader = _Reader()
    return reader.finished(reader.read(model, "", None))


class _Reader:
    """Walks a graph; remembers which layer made which tensor, and which weights were counted."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.counted: set[int] = set()

    def read(self, model: keras.Model, prefix: str, given: list[int] | None) -> list[int]:
        """Add the layers of `model`; the positions of those that make its outputs.

        Args:
            given: positions of the layers that make its inputs; None for the outermost model.
        """
        model = getattr(model, "_functional", None) or model  # what a Sequential is inside
        makers: dict[int, int] = {}
        if given is not None:
            makers |= {id(x): maker for x, maker in zip(model.inputs, given, strict=True)}
        for node in _nodes(model):
            operation, outputs = node.operation, node.output_tensors
            if all(id(x) in makers for x in outputs):
                continue  # an input of a nested model
            inputs = [makers[id(x)] for x in node.input_tensors]
            if isinstance(operation, (keras.Sequential, keras.Model)) and hasattr(operation, "inputs"):
                made = self.read(operation, f"{prefix}{operation.name}/", inputs)
            else:
                made = [self._add(operation, prefix, node, tuple(inputs))] * len(outputs)
            makers |= {id(x): maker for x, maker in zip(outputs, made, strict=True)}
        return [makers[id(x)] for x in model.outputs]

    def _add(self, operation: Any, prefix: str, node: Any, inputs: tuple[int, ...]) -> int:
        taken = tuple(node.input_tensors[0].shape[1:]) if node.input_tensors else ()
        shapes = [tuple(x.shape[1:]) for x in node.output_tensors]
        weights = [w for w in getattr(operation, "weights", ()) if id(w) not in self.counted]
        self.counted |= {id(w) for w in weights}
        self.layers.append(
            Layer(
                name=prefix + operation.name,
                kind=type(operation).__name__,
                output=shapes[0],
                parameters=sum(math.prod(w.shape) for w in weights),
                multiply_adds=layer_multiply_adds(operation, taken, shapes[0]),
                window=tuple(getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None) or ()),
                inputs=inputs,
                elements=sum(math.prod(n or 1 for n in shape) for shape in shapes),
                trainable=sum(math.prod(w.shape) for w in weights if w.trainable),
            )
        )
        return len(self.layers) - 1

    def finished(self, outputs: list[int]) -> tuple[Layer, ...]:
        for position in set(outputs):
            self.layers[position] = dataclasses.replace(self.layers[position], is_output=True)
        return tuple(self.layers)


def _nodes(model: keras.Model) -> Iterator[Any]:
    """The calls of a functional model in Keras' own order; its public interface names layers, not calls."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]
