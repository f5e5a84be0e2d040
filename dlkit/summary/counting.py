"""Multiply-adds: those of convolution, dense and recurrent kernels for one input.

Bias, normalisation, activation and pooling are excluded (the convention of the reference counts
that the networks' facts are held against).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dlkit.frameworks import keras

Shape = tuple[int, ...]


def layer_multiply_adds(layer: keras.layers.Layer, taken: Shape, given: Shape) -> int:
    """Multiply-adds of one call of a layer; 0 for one without a kernel.

    Args:
        taken, given: shapes of its input and output without the batch; an unknown length counts as 1.
    """
    layers = keras.layers
    if isinstance(layer, layers.TimeDistributed):
        return _product(taken[:1]) * layer_multiply_adds(layer.layer, taken[1:], given[1:])
    if isinstance(layer, layers.Bidirectional):
        return sum(layer_multiply_adds(one, taken, given) for one in (layer.forward_layer, layer.backward_layer))
    if isinstance(layer, layers.RNN):
        return _product(taken[:1]) * _step_multiply_adds(layer, given)
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        kernels = layer.depthwise_kernel, layer.pointwise_kernel
        return _product(given[:-1]) * sum(_product(kernel.shape) for kernel in kernels)
    if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)):
        return _product(taken[:-1]) * _product(layer.kernel.shape)
    convolutions = layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D
    if isinstance(layer, (*convolutions, layers.Dense)):
        return _product(given[:-1]) * _product(layer.kernel.shape)
    return 0


def _step_multiply_adds(layer: keras.layers.RNN, given: Shape) -> int:
    """Of one step: each cell's two kernels, at every place if the cell is a convolution."""
    total = 0
    for cell in getattr(layer.cell, "cells", [layer.cell]):
        for name in ("kernel", "recurrent_kernel"):
            shape = getattr(cell, name).shape if hasattr(cell, name) else (0,)
            places = given[-1 - max(0, len(shape) - 2) : -1]  # a dense kernel has two axes, a convolution's more
            total += _product(places) * _product(shape)
    return total


def _product(numbers: Iterable[int | None]) -> int:
    return math.prod(1 if number is None else number for number in numbers)
