"""Transposed convolutions with padding as ones without, whose result is cropped: the same numbers by other operations.

LiteRT's GPU accelerator reckons the padding of such a layer from what goes in, and not from what comes out. The two
differ where a kernel of 3 doubles an odd height or width: its outputs are then off by as much as they are large,
without an error. Without padding it computes what the layer says.
"""

from __future__ import annotations

import functools
from typing import Any

from dlkit.conversion.without_loops import every_layer
from dlkit.frameworks import keras


def without_padding(model: keras.Model) -> keras.Model:
    """`model` with every layer replaced that is padded otherwise there, weights copied; the same model without one."""
    if not any(_is_padded(layer) for layer in every_layer(model)):
        return model
    clone = keras.models.clone_model(model, clone_function=_replaced, recursive=True)
    clone.set_weights(model.get_weights())
    return clone


def padded_otherwise(size: int, made: int, kernel: int, stride: int) -> bool:
    """Whether the accelerator pads `size` rows or columns, of which SAME makes `made`, otherwise than LiteRT does.

    Of all padding, (size − 1) stride + kernel − made, half goes before; the accelerator takes half of
    kernel − 1 − (size − 1) mod stride. Measured with ai-edge-litert 2.3.0 on 178 files of kernels of 2 to 7 and strides
    of 1 to 4: outputs were wrong in those and only those of which this is so.
    """
    right = max(0, (size - 1) * stride + kernel - made) // 2
    return right != max(0, kernel - 1 - (size - 1) % stride) // 2


def _is_padded(layer: keras.layers.Layer) -> bool:
    """Whether it is a transposed convolution that the accelerator pads otherwise, or may."""
    if type(layer) is not keras.layers.Conv2DTranspose or layer.padding != "same" or layer.output_padding is not None:
        return False
    first = 1 if layer.data_format == "channels_last" else 2
    sizes = layer.input.shape[first : first + 2]
    sides = zip(sizes, layer.kernel_size, layer.strides, strict=True)
    return layer.dilation_rate == (1, 1) and any(
        size is None or padded_otherwise(size, size * stride, kernel, stride) for size, kernel, stride in sides
    )


def _cut(layer: keras.layers.Layer) -> list[int]:
    """Rows and columns that SAME leaves out of what the kernels reach: kernel − stride, if that is more than none."""
    return [max(0, kernel - stride) for kernel, stride in zip(layer.kernel_size, layer.strides, strict=True)]


def _replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    return cropped_layer().from_config(config) if _is_padded(layer) else layer.__class__.from_config(config)


@functools.cache
def cropped_layer() -> type[Any]:
    """The layer in its place; made on demand because its base is Keras'."""

    class CroppedTranspose(keras.layers.Conv2DTranspose):
        def call(self, inputs: Any) -> Any:
            shape = self.compute_output_shape(inputs.shape)
            self.padding = "valid"
            try:
                whole = super().call(inputs)
            finally:
                self.padding = "same"
            first = 1 if self.data_format == "channels_last" else 2
            kept: list[slice] = [slice(None)] * 4
            for axis, cut in zip((first, first + 1), _cut(self), strict=True):
                before = cut // 2  # TensorFlow's SAME has the odd one behind
                kept[axis] = slice(before, before + shape[axis])
            return whole[tuple(kept)]

    return CroppedTranspose
