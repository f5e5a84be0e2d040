"""The variational auto-encoder: Kingma & Welling 2013, "Auto-Encoding Variational Bayes", arXiv:1312.6114."""

from __future__ import annotations

import math

from dlkit.frameworks import keras
from dlkit.networks import network
from dlkit.networks._layers import sampling


@network(
    family="Auto-encoder",
    input=(28, 28, 1),
    task="reconstruction",
    parameters=134_165,
    trainable=134_165,
    multiply_adds=6_660_928,
    paper="Kingma & Welling 2013, arXiv:1312.6114; beta: Higgins et al. 2017",
    reference='keras.io "Variational AutoEncoder"',
    variant="convolutional encoder and decoder of keras.io, two latent numbers",
    smallest=4,
    ranges={"beta": (0.0, 1000.0)},
    small={"input_shape": [8, 8, 1], "width": 8},
)
def variational_autoencoder(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    latent: int = 2,
    width: int = 32,
    beta: float = 1.0,
    activation: str = "sigmoid",
) -> keras.Model:
    """An image through a distribution over `latent` numbers: (N, H, W, C) float32, 0…1 → (N, H, W, C).

    Trained on a loss that is the mean over pixels. To that the network itself adds `beta` times the
    divergence of its distribution from the standard normal, over the number of pixels: together the
    paper's bound, per pixel, where the loss is binary cross-entropy. Outside training the mean of
    the distribution is decoded.
    """
    if any(side % 4 for side in input_shape[:2]):
        raise ValueError(
            f"it halves and doubles an image twice: height and width are multiples of 4, not {input_shape}"
        )
    layers = keras.layers
    height, wide, channels = input_shape
    image = x = keras.Input(input_shape, name="image")
    for number, filters in enumerate((width, 2 * width), start=1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name=f"encoder{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(max(1, width // 2), activation="relu", name="encoder3")(x)
    mean = layers.Dense(latent, name="mean")(x)
    log_variance = layers.Dense(latent, name="log_variance")(x)
    z = sampling(weight=beta / math.prod(input_shape), name="z")([mean, log_variance])  # (N, latent)
    x = layers.Dense(height // 4 * (wide // 4) * 2 * width, activation="relu", name="decoder1")(z)
    x = layers.Reshape((height // 4, wide // 4, 2 * width), name="maps")(x)
    for number, filters in enumerate((2 * width, width), start=2):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu", name=f"decoder{number}")(x)
    x = layers.Conv2DTranspose(channels, 3, padding="same", activation=activation, name="reconstruction")(x)
    return keras.Model(image, x, name="variational_autoencoder")
