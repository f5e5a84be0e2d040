"""Xception: Chollet 2016, "Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357, figure 5."""

from __future__ import annotations

import functools
from collections.abc import Callable

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, scaled
from dlkit.networks._inception import conv_bn


@network(
    family="Inception",
    input=(299, 299, 3),
    classes=1000,
    parameters=22_910_480,
    trainable=22_855_952,
    multiply_adds=8_357_403_496,
    paper="Chollet 2016, arXiv:1610.02357, figure 5",
    reference="keras.applications.Xception",
    applications="Xception",
    preprocessing="signed",
    smallest=7,
    ranges=WIDTH,
    small={"input_shape": [39, 39, 3], "classes": 10, "width": 0.125, "repeats": 1},
)
def xception(
    *,
    input_shape: tuple[int, int, int] = (299, 299, 3),
    classes: int = 1000,
    width: float = 1.0,
    repeats: int = 8,
    dropout: float = 0.5,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Residual blocks of separable convolutions: (N, H, W, C) float32 → (N, classes).

    Entry flow, a middle flow of `repeats` blocks, and exit flow. Weight order and, where they are not
    numbers, layer names are those of `keras.applications`. No activation between the depthwise and
    the pointwise part. Dropout as in section 4.3. `repeats` moves the numbers of the last blocks.
    """
    conv = functools.partial(conv_bn, width=width, momentum=momentum, padding="valid", names="{} {}_bn {}_act")
    separable = functools.partial(_separable, width=width, momentum=momentum)
    shrinking = functools.partial(_shrinking, width=width, momentum=momentum)
    image = keras.Input(input_shape, name="image")
    x = conv(conv(image, 32, 3, "block1_conv1", strides=2), 64, 3, "block1_conv2")
    x = shrinking(x, "block2", 128, 128, rectified=False)
    x = shrinking(x, "block3", 256, 256)
    x = shrinking(x, "block4", 728, 728)
    for block in range(5, 5 + repeats):
        x = _middle(x, separable, f"block{block}")  # (N, 19, 19, 728) of 299×299
    x = shrinking(x, f"block{5 + repeats}", 728, 1024)
    for sepconv, filters in ((1, 1536), (2, 2048)):
        here = f"block{6 + repeats}_sepconv{sepconv}"
        x = keras.layers.ReLU(name=f"{here}_act")(separable(x, filters, here))  # (N, 10, 10, 2048)
    if include_top:
        x = classifier(x, classes, activation, dropout)
    return keras.Model(image, x, name="xception")


def _separable(x: keras.KerasTensor, filters: int, name: str, width: float, momentum: float) -> keras.KerasTensor:
    """Separable 3×3 convolution and normalisation: (N, H, W, C) → (N, H, W, filters × width)."""
    layers = keras.layers
    x = layers.SeparableConv2D(scaled(filters, width), 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x)


def _middle(x: keras.KerasTensor, separable: Callable[..., keras.KerasTensor], block: str) -> keras.KerasTensor:
    """Three separable convolutions and the block's input: (N, H, W, 728) → (N, H, W, 728)."""
    shortcut = x
    for here in (f"{block}_sepconv{number}" for number in (1, 2, 3)):
        x = separable(keras.layers.ReLU(name=f"{here}_act")(x), 728, here)
    return keras.layers.Add(name=f"{block}_add")([x, shortcut])


def _shrinking(
    x: keras.KerasTensor,
    block: str,
    first: int,
    second: int,
    width: float,
    momentum: float,
    rectified: bool = True,
) -> keras.KerasTensor:
    """Two separable convolutions and a pooling, beside a 1×1 with stride 2: (N, H, W, C) → (N, H / 2, W / 2, second).

    Args:
        rectified: whether the block begins with a ReLU; not where its input has just been through one.
    """
    layers, name = keras.layers, f"{block}_shortcut"
    shortcut = layers.Conv2D(scaled(second, width), 1, strides=2, padding="same", use_bias=False, name=name)(x)
    shortcut = layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(shortcut)
    if rectified:
        x = layers.ReLU(name=f"{block}_sepconv1_act")(x)
    x = _separable(x, first, f"{block}_sepconv1", width, momentum)
    x = layers.ReLU(name=f"{block}_sepconv2_act")(x)
    x = _separable(x, second, f"{block}_sepconv2", width, momentum)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{block}_pool")(x)
    return layers.Add(name=f"{block}_add")([x, shortcut])
