"""Layers that Keras does not have; registered, so that a saved network loads again in safe mode.

`custom_layers()` is what a process hands to Keras before it loads a model that may hold one.
"""

from __future__ import annotations

import functools
from typing import Any

from dlkit.frameworks import keras


@functools.cache
def custom_layers() -> dict[str, type[Any]]:
    """dlkit's own layers by class name, for `keras.models.load_model`; made on demand, as their base is Keras'."""
    register = keras.saving.register_keras_serializable(package="dlkit")
    return {cls.__name__: register(cls) for cls in (_local_response_normalization(), _sampling())}


def _local_response_normalization() -> type[Any]:
    import numpy as np  # not at the top: the shelf is listed without it

    ops = keras.ops

    class LocalResponseNormalization(keras.layers.Layer):
        """x_c / (k + α Σ x²)^0.75, the sum over `size` channels around c; Krizhevsky et al. 2012, section 3.3.

        The sum is a 1×1 convolution with a band of ones and the power is made of reciprocal square
        roots, s^-¾ = r · r · rsqrt(r) with r = rsqrt(s): operations that every runtime has in 8-bit
        integers as well, where an operation of its own exists in floating point only. In training the
        sum is a product of matrices: where the size of a batch is not fixed, TensorFlow 2.21 dies of the
        gradient of such a convolution behind one in groups (when it rewrites layouts for oneDNN).

        Attributes:
            size: channels in the sum, odd.
            alpha: factor of the sum. Where a paper or framework divides it by `size` (Caffe, torch),
                that is done already.
            k: what is added to the sum.
        """

        def __init__(self, size: int = 5, alpha: float = 1e-4, k: float = 2.0, **options: Any) -> None:
            super().__init__(**options)
            self.size, self.alpha, self.k = size, alpha, k

        def call(self, x: Any, training: bool = False) -> Any:
            channels = np.arange(x.shape[-1])
            band = np.abs(channels[:, np.newaxis] - channels) <= self.size // 2
            kernel = (self.alpha * band).astype("float32")  # (C, C)
            whole = ops.cast(x, "float32")  # a square of half precision is infinite from 256 on
            square = whole * whole
            total = ops.matmul(square, kernel) if training else ops.conv(square, kernel[np.newaxis, np.newaxis])
            r = ops.rsqrt(total + self.k)
            return ops.cast(whole * (r * (r * ops.rsqrt(r))), x.dtype)

        def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            return input_shape

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "size": self.size, "alpha": self.alpha, "k": self.k}

    return LocalResponseNormalization


def local_response_normalization(**options: Any) -> keras.layers.Layer:
    """A `LocalResponseNormalization` layer."""
    return custom_layers()["LocalResponseNormalization"](**options)


def _sampling() -> type[Any]:
    ops = keras.ops

    class Sampling(keras.layers.Layer):
        """z ~ N(mean, exp(log variance)), the reparameterised draw; Kingma & Welling 2013, section 2.4 and appendix B.

        Inputs are [mean, log variance], (N, latent) each. A draw in training, the mean otherwise. Adds
        `weight` times the Kullback-Leibler divergence from N(0, 1), a mean over the batch, to the loss.

        Attributes:
            weight: of the divergence in the loss.
            seed: of the draws.
        """

        def __init__(self, weight: float = 1.0, seed: int | None = None, **options: Any) -> None:
            super().__init__(**options)
            self.weight, self.seed = weight, seed
            self.draws = keras.random.SeedGenerator(seed)

        def call(self, inputs: Any, training: bool = False) -> Any:
            mean, log_variance = inputs
            divergence = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - log_variance - 1, axis=-1)
            self.add_loss(self.weight * ops.mean(divergence))
            if not training:
                return mean
            return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.draws)

        def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
            return input_shape[0]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "weight": self.weight, "seed": self.seed}

    return Sampling


def sampling(**options: Any) -> keras.layers.Layer:
    """A `Sampling` layer."""
    return custom_layers()["Sampling"](**options)
