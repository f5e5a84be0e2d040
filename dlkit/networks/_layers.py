"""Layers that Keras does not have; registered, so that a saved network loads again in safe mode.

`custom_layers()` is what a process hands to Keras before it loads a model that may hold one.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dlkit.frameworks import keras


@functools.cache
def custom_layers() -> dict[str, type[Any]]:
    """Class name → class; made on demand because their base is Keras'."""
    register = keras.saving.register_keras_serializable(package="dlkit")
    return {cls.__name__: register(cls) for cls in (_local_response_normalization(),)}


def _local_response_normalization() -> type[Any]:
    ops = keras.ops

    class LocalResponseNormalization(keras.layers.Layer):
        """x_c / (k + α Σ x²)^0.75, the sum over `size` channels around c; Krizhevsky et al. 2012, section 3.3.

        The sum is a 1×1 convolution with a band of ones and the power is made of reciprocal square
        roots, s^-¾ = r · r · rsqrt(r) with r = rsqrt(s): operations that every runtime has in 8-bit
        integers as well, where an operation of its own exists in floating point only.

        Attributes:
            size: channels in the sum, odd.
            alpha: factor of the sum. Where a paper or framework divides it by `size` (Caffe, torch),
                that is done already.
            k: what is added to the sum.
        """

        def __init__(self, size: int = 5, alpha: float = 1e-4, k: float = 2.0, **options: Any) -> None:
            super().__init__(**options)
            self.size, self.alpha, self.k = size, alpha, k

        def call(self, x: Any) -> Any:
            channels = np.arange(x.shape[-1])
            band = np.abs(channels[:, np.newaxis] - channels) <= self.size // 2
            kernel = (self.alpha * band).astype("float32")[np.newaxis, np.newaxis]  # (1, 1, C, C)
            r = ops.rsqrt(ops.conv(x * x, kernel, padding="valid") + self.k)
            return x * (r * (r * ops.rsqrt(r)))

        def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            return input_shape

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "size": self.size, "alpha": self.alpha, "k": self.k}

    return LocalResponseNormalization


def local_response_normalization(**options: Any) -> keras.layers.Layer:
    """A `LocalResponseNormalization` layer."""
    return custom_layers()["LocalResponseNormalization"](**options)
