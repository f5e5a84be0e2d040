"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks", arXiv:1409.1556, table 1."""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import scaled

_PAPER = "Simonyan & Zisserman 2014, arXiv:1409.1556, table 1 column"


def _vgg(
    name: str,
    convolutions: tuple[int, ...],
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.5,
    batch_norm: bool = False,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Five blocks of 3×3 convolutions and a pooling, three dense layers: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`. The paper's weights want BGR
    with the ImageNet mean subtracted ("caffe"). Dropout as in section 3.1. `width` multiplies the
    filters and the units of the hidden layers.
    """
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    for block, (filters, depth) in enumerate(zip((64, 128, 256, 512, 512), convolutions, strict=True), start=1):
        for conv in range(1, depth + 1):
            here, relu = f"block{block}_conv{conv}", None if batch_norm else "relu"
            x = layers.Conv2D(scaled(filters, width), 3, padding="same", activation=relu, name=here)(x)
            if batch_norm:
                x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{here}_bn")(x)  # torchvision's
                x = layers.ReLU(name=f"{here}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)  # (N, H / 2^block, W / 2^block, filters)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for fc in (1, 2):
            x = layers.Dense(scaled(4096, width), activation="relu", name=f"fc{fc}")(x)
            x = layers.Dropout(dropout, name=f"fc{fc}_dropout")(x)
        x = layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(image, x, name=name)


_FACTS: dict[str, Any] = {
    "like": _vgg,
    "family": "VGG",
    "input": (224, 224, 3),
    "classes": 1000,
    "preprocessing": "caffe",
    "smallest": 32,
    "ranges": WIDTH,
    "small": {"input_shape": [32, 32, 3], "classes": 10, "width": 0.125},
    "variant": "as in the paper, without batch normalisation (--set batch_norm=true adds it)",
}


@network(
    parameters=132_863_336,
    trainable=132_863_336,
    multiply_adds=7_609_090_048,
    paper=f"{_PAPER} A",
    reference="torchvision vgg11",
    **_FACTS,
)
def vgg11(**options: Any) -> keras.Model:
    """VGG11, configuration A: (N, H, W, C) float32 → (N, classes)."""
    return _vgg("vgg11", (1, 1, 2, 2, 2), **options)


@network(
    parameters=133_047_848,
    trainable=133_047_848,
    multiply_adds=11_308_466_176,
    paper=f"{_PAPER} B",
    reference="torchvision vgg13",
    **_FACTS,
)
def vgg13(**options: Any) -> keras.Model:
    """VGG13, configuration B: (N, H, W, C) float32 → (N, classes)."""
    return _vgg("vgg13", (2, 2, 2, 2, 2), **options)


@network(
    parameters=138_357_544,
    trainable=138_357_544,
    multiply_adds=15_470_264_320,
    paper=f"{_PAPER} D",
    reference="keras.applications.VGG16",
    applications="VGG16",
    **_FACTS,
)
def vgg16(**options: Any) -> keras.Model:
    """VGG16, configuration D: (N, H, W, C) float32 → (N, classes)."""
    return _vgg("vgg16", (2, 2, 3, 3, 3), **options)


@network(
    parameters=143_667_240,
    trainable=143_667_240,
    multiply_adds=19_632_062_464,
    paper=f"{_PAPER} E",
    reference="keras.applications.VGG19",
    applications="VGG19",
    **_FACTS,
)
def vgg19(**options: Any) -> keras.Model:
    """VGG19, configuration E: (N, H, W, C) float32 → (N, classes)."""
    return _vgg("vgg19", (2, 2, 4, 4, 4), **options)
