"""What a built Keras model is made of: layers, shapes, parameters, multiply-adds, bytes.

Multiply-adds are those of convolution, dense and recurrent kernels for one input; bias,
normalisation, activation and pooling are excluded (the convention of the reference counts that the
networks' facts are held against).
"""

from __future__ import annotations

import dataclasses
import math

from dlkit.frameworks import keras


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: its output shape is without the batch."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """A model; shapes are without the batch.

    Attributes:
        float_bytes, int8_bytes: of the parameters alone, at 4 and at 1 byte each.
    """

    name: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def float_bytes(self) -> int:
        return 4 * self.parameters

    @property
    def int8_bytes(self) -> int:
        return self.parameters


def summarize(model: keras.Model) -> Summary:
    """The summary of a model with one input and one output."""
    layers = tuple(
        Layer(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            layer.count_params(),
            layer_multiply_adds(layer),
        )
        for layer in model.layers
    )
    return Summary(model.name, tuple(model.inputs[0].shape[1:]), tuple(model.outputs[0].shape[1:]), layers)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one forward pass of one input."""
    return sum(layer_multiply_adds(layer) for layer in model.layers)


def layer_multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiply-adds of one layer; 0 for a layer without a kernel."""
    layers = keras.layers
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    if isinstance(layer, layers.SeparableConv2D):
        depthwise, pointwise = (math.prod(w.shape) for w in layer.weights[:2])
        return _positions(layer) * (depthwise + pointwise)
    if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose)):
        return math.prod(layer.input.shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        return _positions(layer) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Bidirectional):
        directions = (layer.forward_layer, layer.backward_layer)  # neither of which knows its own input
        return layer.input.shape[1] * sum(_multiply_adds_of_a_step(direction) for direction in directions)
    if isinstance(layer, (layers.SimpleRNN, layers.LSTM, layers.GRU)):
        return layer.input.shape[1] * _multiply_adds_of_a_step(layer)
    return 0


def _multiply_adds_of_a_step(layer: keras.layers.RNN) -> int:
    return math.prod(layer.cell.kernel.shape) + math.prod(layer.cell.recurrent_kernel.shape)


def _positions(layer: keras.layers.Layer) -> int:
    """Places of the output at which the kernel is applied: all but batch and channels."""
    return math.prod(layer.output.shape[1:-1])
