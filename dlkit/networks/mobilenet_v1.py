"""MobileNet: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks", arXiv:1704.04861, table 1."""

from __future__ import annotations

import functools
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


def _mobilenet_v1(
    name: str,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.001,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """A 3×3 stem and 13 depthwise separable blocks: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`, where the classifier is a 1×1
    convolution. `width` is the paper's α: it multiplies the filters, and the fraction is cut off.
    `momentum` is that of batch normalisation (0.9 for runs under about 500 steps).
    """
    layers = keras.layers

    def norm_relu(x: keras.KerasTensor, here: str) -> keras.KerasTensor:
        x = layers.BatchNormalization(momentum=momentum, name=f"{here}_bn")(x)
        return layers.ReLU(6.0, name=f"{here}_relu")(x)

    image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(int(32 * width), 3, strides=2, padding="same", use_bias=False, name="conv1")(image)
    x = norm_relu(x, "conv1")  # (N, H / 2, W / 2, 32 α)
    for block, (filters, stride) in enumerate(zip(_FILTERS, _STRIDES, strict=True), start=1):
        if stride == 2:  # as "same" for even sizes
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{block}")(x)
        padding, here = "valid" if stride == 2 else "same", f"conv_dw_{block}"
        x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=here)(x)
        x = norm_relu(x, here)
        x = layers.Conv2D(int(filters * width), 1, use_bias=False, name=f"conv_pw_{block}")(x)
        x = norm_relu(x, f"conv_pw_{block}")  # (N, H / stride…, W / stride…, filters α)
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True, name="avg_pool")(x)  # (N, 1, 1, 1024 α)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape")(x)
        x = layers.Activation(activation, name="predictions")(x)
    return keras.Model(image, x, name=name)


_FACTS: dict[str, Any] = {
    "family": "MobileNet",
    "input": (224, 224, 3),
    "classes": 1000,
    "reference": "keras.applications.MobileNet",
    "applications": "MobileNet",
    "preprocessing": "signed",
    "smallest": 31,
    "ranges": WIDTH,
}


@network(
    like=_mobilenet_v1,
    parameters=4_253_864,
    trainable=4_231_976,
    multiply_adds=568_740_352,
    paper="Howard et al. 2017, arXiv:1704.04861, table 1",
    small={"input_shape": [32, 32, 3], "classes": 10, "width": 0.125},
    **_FACTS,
)
def mobilenet_v1(**options: Any) -> keras.Model:
    """MobileNet, α = 1: (N, H, W, C) float32 → (N, classes)."""
    return _mobilenet_v1("mobilenet_v1", **options)


_mobilenet_v1_025 = functools.partial(_mobilenet_v1, width=0.25)


@network(
    like=_mobilenet_v1_025,
    parameters=475_544,
    trainable=470_072,
    multiply_adds=41_030_272,
    paper="Howard et al. 2017, arXiv:1704.04861, tables 6 and 7 (0.25 MobileNet-224)",
    applications_options={"alpha": 0.25},
    small={"input_shape": [32, 32, 3], "classes": 10},
    **_FACTS,
)
def mobilenet_v1_025(**options: Any) -> keras.Model:
    """0.25 MobileNet-224, a quarter of the filters: (N, H, W, C) float32 → (N, classes)."""
    return _mobilenet_v1_025("mobilenet_v1_025", **options)
