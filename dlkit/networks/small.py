"""A small convolutional network, the layer sequence of LeNet-5 with today's parts.

LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", figure 2; ReLU and
max pooling instead of tanh and trainable subsampling.
"""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import network


@network(
    family="CNN",
    input=(28, 28, 1),
    classes=10,
    parameters=55_338,
    trainable=55_338,
    multiply_adds=1_066_560,
    paper="after LeCun et al. 1998, doi:10.1109/5.726791, figure 2",
    reference="none: the figure's layer sequence with today's parts",
    small={"input_shape": [8, 8, 1]},
    smallest=4,
)
def cnn(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    width: int = 16,
    dropout: float = 0.25,
    activation: str = "softmax",
) -> keras.Model:
    """Two convolutions with pooling, a hidden layer and a classifier: (N, H, W, C) float32 → (N, classes).

    The convolutions have `width` and 2 × `width` filters, the hidden layer 2 × `width` units.
    """
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    for block, filters in enumerate([width, 2 * width], start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)  # (N, H / 2^block, W / 2^block, filters)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(2 * width, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(image, x, name="cnn")
