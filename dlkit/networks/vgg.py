"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks", arXiv:1409.1556, table 1."""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import network


@network(
    family="VGG",
    input=(224, 224, 3),
    classes=1000,
    parameters=138_357_544,
    multiply_adds=15_470_264_320,
    paper="Simonyan & Zisserman 2014, arXiv:1409.1556, table 1 column D",
    preprocessing="caffe",
    smallest=32,
)
def vgg16(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    activation: str = "softmax",
) -> keras.Model:
    """VGG16, configuration D: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications.VGG16`. The paper's weights want
    BGR with the ImageNet mean subtracted ("caffe"). Dropout as in section 3.1.
    """
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    for block, (filters, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for conv in range(1, depth + 1):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{conv}")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)  # (N, H / 2^block, W / 2^block, filters)
    x = layers.Flatten(name="flatten")(x)
    for fc in (1, 2):
        x = layers.Dense(4096, activation="relu", name=f"fc{fc}")(x)
        x = layers.Dropout(dropout, name=f"fc{fc}_dropout")(x)
    x = layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(image, x, name="vgg16")
