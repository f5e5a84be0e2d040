"""Multiply-adds of a built Keras model, layer by layer.

Convention (that of the reference counts the facts are held against): kernels of convolution, dense
and recurrent layers, one input; bias, normalisation, activation and pooling excluded.
"""

from __future__ import annotations

import math

from dlkit.frameworks import keras


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
        return layer_multiply_adds(layer.forward_layer) + layer_multiply_adds(layer.backward_layer)
    if isinstance(layer, (layers.SimpleRNN, layers.LSTM, layers.GRU)):
        kernels = (layer.cell.kernel, layer.cell.recurrent_kernel)
        return layer.input.shape[1] * sum(math.prod(k.shape) for k in kernels)
    return 0


def _positions(layer: keras.layers.Layer) -> int:
    """Places of the output at which the kernel is applied: all but batch and channels."""
    return math.prod(layer.output.shape[1:-1])
