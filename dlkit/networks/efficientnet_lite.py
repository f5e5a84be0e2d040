"""EfficientNet-Lite: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling", arXiv:1905.11946, table 1, for devices.

The Lite networks (tensorflow/tpu, efficientnet/lite) have no squeeze-and-excite and ReLU6 for
swish, and keep stem, head and the depth of the first and last stage at every scale.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, divisible

# Repeats, kernel, stride, expansion, filters (B0).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _efficientnet_lite(
    name: str,
    widened: float,
    deepened: float,
    *,
    input_shape: tuple[int, int, int],
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.2,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Seven stages of inverted residuals: (N, H, W, C) float32 → (N, classes).

    As timm's tf_efficientnet_lite, whose padding and epsilon are TensorFlow's; layers have the names
    of its modules ("blocks.1.0.conv_pw" is `blocks_1_0_conv_pw`). `width` multiplies the filters
    once more, those of stem and head too. Inputs are (pixel - 127) / 128. `momentum` is that of
    batch normalisation.
    """
    layers = keras.layers

    def norm(x: keras.KerasTensor, name: str, relu: bool = True) -> keras.KerasTensor:
        x = layers.BatchNormalization(epsilon=1e-3, momentum=momentum, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    def conv(x: keras.KerasTensor, filters: int, name: str, kernel: int = 1, strides: int = 1) -> keras.KerasTensor:
        return layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False, name=name)(x)

    def block(
        x: keras.KerasTensor, filters: int, kernel: int, stride: int, expansion: int, here: str
    ) -> keras.KerasTensor:
        y, parts = x, ["conv_dw bn1", "conv_pw bn2"] if expansion == 1 else ["conv_dw bn2", "conv_pwl bn3"]
        (depthwise, first), (pointwise, last) = (part.split() for part in parts)
        if expansion > 1:
            y = norm(conv(y, expansion * x.shape[-1], f"{here}_conv_pw"), f"{here}_bn1")
        y = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False, name=f"{here}_{depthwise}")(
            y
        )
        y = conv(norm(y, f"{here}_{first}"), filters, f"{here}_{pointwise}")
        y = norm(y, f"{here}_{last}", relu=False)
        return layers.Add(name=f"{here}_add")([x, y]) if stride == 1 and x.shape[-1] == filters else y

    image = keras.Input(input_shape, name="image")
    x = norm(conv(image, divisible(32 * width), "conv_stem", kernel=3, strides=2), "bn1")
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            repeats = math.ceil(deepened * repeats)
        for repeat in range(repeats):
            filters_here, strides = divisible(filters * widened * width), stride if repeat == 0 else 1
            x = block(x, filters_here, kernel, strides, expansion, f"blocks_{stage}_{repeat}")
    x = norm(conv(x, divisible(1280 * width), "conv_head"), "bn2")  # (N, H / 32, W / 32, 1280)
    if include_top:
        x = classifier(x, classes, activation, dropout, names="global_pool dropout classifier")
    return keras.Model(image, x, name=name)


_lite0 = functools.partial(_efficientnet_lite, "efficientnet_lite0", 1.0, 1.0, input_shape=(224, 224, 3))
_lite1 = functools.partial(_efficientnet_lite, "efficientnet_lite1", 1.0, 1.1, input_shape=(240, 240, 3))
_lite2 = functools.partial(_efficientnet_lite, "efficientnet_lite2", 1.1, 1.2, input_shape=(260, 260, 3), dropout=0.3)
_lite3 = functools.partial(_efficientnet_lite, "efficientnet_lite3", 1.2, 1.4, input_shape=(280, 280, 3), dropout=0.3)
_lite4 = functools.partial(_efficientnet_lite, "efficientnet_lite4", 1.4, 1.8, input_shape=(300, 300, 3), dropout=0.3)

_FACTS: dict[str, Any] = {
    "family": "EfficientNet-Lite",
    "classes": 1000,
    "paper": "Tan & Le 2019, arXiv:1905.11946, table 1; Lite: tensorflow/tpu, efficientnet/lite",
    "variant": "padded as in TensorFlow, epsilon 1e-3; timm's efficientnet_lite without tf_ has other answers",
    "preprocessing": "lite",
    "ranges": WIDTH,
    "small": {"input_shape": [32, 32, 3], "classes": 10, "width": 0.125},
}


@network(
    like=_lite0,
    input=(224, 224, 3),
    parameters=4_694_024,
    trainable=4_652_008,
    multiply_adds=385_187_552,
    reference="timm tf_efficientnet_lite0",
    **_FACTS,
)
def efficientnet_lite0(**options: Any) -> keras.Model:
    """EfficientNet-Lite0: (N, H, W, C) float32 → (N, classes)."""
    return _lite0(**options)


@network(
    like=_lite1,
    input=(240, 240, 3),
    parameters=5_470_344,
    trainable=5_416_680,
    multiply_adds=600_185_232,
    reference="timm tf_efficientnet_lite1",
    **_FACTS,
)
def efficientnet_lite1(**options: Any) -> keras.Model:
    """EfficientNet-Lite1: (N, H, W, C) float32 → (N, classes)."""
    return _lite1(**options)


@network(
    like=_lite2,
    input=(260, 260, 3),
    parameters=6_150_168,
    trainable=6_092_072,
    multiply_adds=859_736_272,
    reference="timm tf_efficientnet_lite2",
    **_FACTS,
)
def efficientnet_lite2(**options: Any) -> keras.Model:
    """EfficientNet-Lite2: (N, H, W, C) float32 → (N, classes)."""
    return _lite2(**options)


@network(
    like=_lite3,
    input=(280, 280, 3),
    parameters=8_273_768,
    trainable=8_197_096,
    multiply_adds=1_383_321_872,
    reference="timm tf_efficientnet_lite3",
    **_FACTS,
)
def efficientnet_lite3(**options: Any) -> keras.Model:
    """EfficientNet-Lite3: (N, H, W, C) float32 → (N, classes)."""
    return _lite3(**options)


@network(
    like=_lite4,
    input=(300, 300, 3),
    parameters=13_118_936,
    trainable=13_006_568,
    multiply_adds=2_553_034_336,
    reference="timm tf_efficientnet_lite4",
    **_FACTS,
)
def efficientnet_lite4(**options: Any) -> keras.Model:
    """EfficientNet-Lite4: (N, H, W, C) float32 → (N, classes)."""
    return _lite4(**options)
