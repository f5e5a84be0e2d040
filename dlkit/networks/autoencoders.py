"""Auto-encoders: a network that gives its input again from fewer numbers.

Dense: Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks";
convolutional: Masci et al. 2011, "Stacked Convolutional Auto-Encoders for Hierarchical Feature
Extraction"; denoising: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising
Autoencoders". Sizes are those of Keras' own examples.
"""

from __future__ import annotations

import math
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import network

_DENSE = "Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647"


def _dense(name: str, input_shape: tuple[int, int, int], units: tuple[int, ...], activation: str) -> keras.Model:
    """Dense layers of `units` and back again; the last of `units` is the code."""
    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(image)
    for number, wide in enumerate(units, start=1):
        x = layers.Dense(wide, activation="relu", name=f"encoder{number}")(x)
    for number, wide in enumerate(units[-2::-1], start=1):
        x = layers.Dense(wide, activation="relu", name=f"decoder{number}")(x)
    x = layers.Dense(math.prod(input_shape), activation=activation, name=f"decoder{len(units)}")(x)
    x = layers.Reshape(input_shape, name="reconstruction")(x)
    return keras.Model(image, x, name=name)


def _convolutional(
    name: str,
    noise: float,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    width: int = 32,
    activation: str = "sigmoid",
) -> keras.Model:
    """Two convolutions with pooling and two transposed ones, `width` filters each: (N, H, W, C) → (N, H, W, C)."""
    if any(side % 4 for side in input_shape[:2]):
        raise ValueError(
            f"it halves and doubles an image twice: height and width are multiples of 4, not {input_shape}"
        )
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    if noise:
        x = layers.GaussianNoise(noise, name="noise")(x)
    for number in (1, 2):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"encoder{number}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{number}")(x)  # (N, H / 2^number, W / 2^number, width)
    for number in (1, 2):
        x = layers.Conv2DTranspose(width, 3, strides=2, padding="same", activation="relu", name=f"decoder{number}")(x)
    x = layers.Conv2D(input_shape[2], 3, padding="same", activation=activation, name="reconstruction")(x)
    return keras.Model(image, x, name=name)


_FACTS: dict[str, Any] = {
    "family": "Auto-encoder",
    "input": (28, 28, 1),
    "task": "reconstruction",
}


@network(
    parameters=50_992,
    trainable=50_992,
    multiply_adds=50_176,
    paper=_DENSE,
    reference='blog.keras.io "Building Autoencoders in Keras", the first',
    small={"input_shape": [8, 8, 1], "units": [16]},
    **_FACTS,
)
def dense_autoencoder(
    input_shape: tuple[int, int, int] = (28, 28, 1), units: tuple[int, ...] = (32,), activation: str = "sigmoid"
) -> keras.Model:
    """An image through one narrow layer: (N, H, W, C) float32, 0…1 → (N, H, W, C).

    `units` are those of the encoder; the decoder has them in reverse.
    """
    return _dense("dense_autoencoder", input_shape, units, activation)


@network(
    parameters=222_384,
    trainable=222_384,
    multiply_adds=221_184,
    paper=_DENSE,
    reference='blog.keras.io "Building Autoencoders in Keras", the deep one',
    small={"input_shape": [8, 8, 1], "units": [32, 16, 8]},
    **_FACTS,
)
def deep_autoencoder(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    units: tuple[int, ...] = (128, 64, 32),
    activation: str = "sigmoid",
) -> keras.Model:
    """An image through layers narrower and narrower, and wider again: (N, H, W, C) float32, 0…1 → (N, H, W, C).

    `units` are those of the encoder; the decoder has them in reverse.
    """
    return _dense("deep_autoencoder", input_shape, units, activation)


@network(
    parameters=28_353,
    trainable=28_353,
    multiply_adds=4_515_840,
    paper="Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7",
    reference='keras.io "Convolutional autoencoder for image denoising"',
    variant="sizes of keras.io",
    like=_convolutional,
    smallest=4,
    small={"input_shape": [8, 8, 1], "width": 8},
    **_FACTS,
)
def convolutional_autoencoder(**options: Any) -> keras.Model:
    """An image through maps of a quarter of its height and width: (N, H, W, C) float32, 0…1 → (N, H, W, C)."""
    return _convolutional("convolutional_autoencoder", 0.0, **options)


@network(
    parameters=28_353,
    trainable=28_353,
    multiply_adds=4_515_840,
    paper="Vincent et al. 2008, doi:10.1145/1390156.1390294",
    reference='keras.io "Convolutional autoencoder for image denoising"',
    variant="sizes of keras.io; Gaussian noise, drawn anew for each step, where the paper sets pixels to 0",
    smallest=4,
    small={"input_shape": [8, 8, 1], "width": 8},
    **_FACTS,
)
def denoising_autoencoder(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    width: int = 32,
    noise: float = 0.4,
    activation: str = "sigmoid",
) -> keras.Model:
    """The convolutional auto-encoder, which sees its input through noise: (N, H, W, C) float32, 0…1 → (N, H, W, C).

    `noise` is the standard deviation, while training alone; the target is the image without it.
    """
    return _convolutional("denoising_autoencoder", noise, input_shape=input_shape, width=width, activation=activation)
