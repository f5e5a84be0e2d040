"""MobileNetV3: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, tables 1 and 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import divisible

# Kernel, expansion (of the input's channels), channels out, squeeze-and-excite, hard-swish, stride.
_SMALL = (
    (3, 1, 16, True, False, 2),
    (3, 72 / 16, 24, False, False, 2),
    (3, 88 / 24, 24, False, False, 1),
    (5, 4, 40, True, True, 2),
    (5, 6, 40, True, True, 1),
    (5, 6, 40, True, True, 1),
    (5, 3, 48, True, True, 1),
    (5, 3, 48, True, True, 1),
    (5, 6, 96, True, True, 2),
    (5, 6, 96, True, True, 1),
    (5, 6, 96, True, True, 1),
)
_LARGE = (
    (3, 1, 16, False, False, 1),
    (3, 4, 24, False, False, 2),
    (3, 3, 24, False, False, 1),
    (5, 3, 40, True, False, 2),
    (5, 3, 40, True, False, 1),
    (5, 3, 40, True, False, 1),
    (3, 6, 80, False, True, 2),
    (3, 2.5, 80, False, True, 1),
    (3, 2.3, 80, False, True, 1),
    (3, 2.3, 80, False, True, 1),
    (3, 6, 112, True, True, 1),
    (3, 6, 112, True, True, 1),
    (5, 6, 160, True, True, 2),
    (5, 6, 160, True, True, 1),
    (5, 6, 160, True, True, 1),
)
Activate = Callable[["keras.KerasTensor", str], "keras.KerasTensor"]


def _mobilenet_v3(
    name: str,
    blocks: tuple[tuple[int, float, int, bool, bool, int], ...],
    head: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    minimalistic: bool = False,
    dropout: float = 0.2,
    momentum: float = 0.999,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """A stem, inverted residuals and a head after the pooling: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`; its rescaling of the pixels is
    left to the preprocessing. `width` is its alpha: filters are rounded to multiples of 8, and the
    head keeps its size for a width below 1. `minimalistic` has 3×3 kernels, ReLU and no
    squeeze-and-excite throughout: the form that quantizes best. `momentum` is that of batch
    normalisation (0.9 for runs under about 500 steps).
    """
    layers, swish = keras.layers, _relu if minimalistic else _hard_swish
    image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(image)
    x = swish(_norm(x, "conv_bn", momentum), "conv_act")  # (N, H / 2, W / 2, 16)
    for block, (kernel, expansion, filters, squeezes, swishes, stride) in enumerate(blocks):
        here, act = f"expanded_conv_{block}_" if block else "expanded_conv_", swish if swishes else _relu
        y, expanded = x, divisible(x.shape[-1] * expansion) if block else x.shape[-1]
        if block:
            y = layers.Conv2D(expanded, 1, use_bias=False, name=f"{here}expand")(y)
            y = act(_norm(y, f"{here}expand_bn", momentum), f"{here}expand_act")
        size, spot = 3 if minimalistic else kernel, f"{here}depthwise"
        y = layers.DepthwiseConv2D(size, strides=stride, padding="same", use_bias=False, name=spot)(y)
        y = act(_norm(y, f"{spot}_bn", momentum), f"{spot}_act")
        if squeezes and not minimalistic:
            y = _squeeze_excite(y, divisible(expanded / 4), f"{here}squeeze_excite")
        out = divisible(filters * width)
        y = _norm(layers.Conv2D(out, 1, use_bias=False, name=f"{here}project")(y), f"{here}project_bn", momentum)
        x = layers.Add(name=f"{here}add")([x, y]) if stride == 1 and out == x.shape[-1] else y
    x = layers.Conv2D(divisible(6 * x.shape[-1]), 1, use_bias=False, name="conv_1")(x)
    x = swish(_norm(x, "conv_1_bn", momentum), "conv_1_act")  # (N, H / 32, W / 32, 6 × filters of the last block)
    if include_top:
        x = _top(x, classes, divisible(head * max(1.0, width)), swish, dropout, activation)
    return keras.Model(image, x, name=name)


def _top(
    x: keras.KerasTensor, classes: int, units: int, swish: Activate, dropout: float, activation: str
) -> keras.KerasTensor:
    """Pooling and two layers without normalisation, written as 1×1 convolutions: (N, H, W, C) → (N, classes)."""
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(keepdims=True, name="avg_pool")(x)
    x = swish(layers.Conv2D(units, 1, name="conv_2")(x), "conv_2_act")  # (N, 1, 1, units)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, name="logits")(x)
    x = layers.Flatten(name="flatten")(x)
    return layers.Activation(activation, name="predictions")(x)


def _squeeze_excite(x: keras.KerasTensor, units: int, here: str) -> keras.KerasTensor:
    """x, every channel weighted by what is made of all channels' means.

    The hard sigmoid is the reference's relu6(x + 3) × ⅙, layer by layer. Keras' activation of that
    name divides by 6; that rounding alone grows to 3e-5 of the scores in the large network.
    """
    layers = keras.layers
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{here}_avg_pool")(x)  # (N, 1, 1, C)
    y = layers.Conv2D(units, 1, activation="relu", name=f"{here}_conv")(y)
    y = layers.Conv2D(x.shape[-1], 1, name=f"{here}_conv_1")(y)
    y = layers.Rescaling(1.0, offset=3.0, name=f"{here}_shift")(y)
    y = layers.ReLU(6.0, name=f"{here}_relu6")(y)
    y = layers.Rescaling(1 / 6, name=f"{here}_scale")(y)
    return layers.Multiply(name=f"{here}_mul")([x, y])


def _norm(x: keras.KerasTensor, name: str, momentum: float) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(epsilon=1e-3, momentum=momentum, name=name)(x)


def _relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(name=name)(x)


def _hard_swish(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.Activation("hard_swish", name=name)(x)


_FACTS: dict[str, Any] = {
    "like": _mobilenet_v3,
    "family": "MobileNet",
    "input": (224, 224, 3),
    "classes": 1000,
    "applications_options": {"include_preprocessing": False},
    "preprocessing": "signed",
    "ranges": WIDTH,
    "small": {"input_shape": [32, 32, 3], "classes": 10, "width": 0.25},
}


@network(
    parameters=2_554_968,
    trainable=2_542_856,
    multiply_adds=56_510_400,
    paper="Howard et al. 2019, arXiv:1905.02244, table 2",
    reference="keras.applications.MobileNetV3Small",
    applications="MobileNetV3Small",
    variant="with hard-swish and squeeze-and-excite; --set minimalistic=true has 2,056,848 parameters",
    **_FACTS,
)
def mobilenet_v3_small(**options: Any) -> keras.Model:
    """MobileNetV3-Small: (N, H, W, C) float32 → (N, classes)."""
    return _mobilenet_v3("mobilenet_v3_small", _SMALL, 1024, **options)


@network(
    parameters=5_507_432,
    trainable=5_483_032,
    multiply_adds=216_589_760,
    paper="Howard et al. 2019, arXiv:1905.02244, table 1",
    reference="keras.applications.MobileNetV3Large",
    applications="MobileNetV3Large",
    variant="with hard-swish and squeeze-and-excite; --set minimalistic=true has 3,948,688 parameters",
    **_FACTS,
)
def mobilenet_v3_large(**options: Any) -> keras.Model:
    """MobileNetV3-Large: (N, H, W, C) float32 → (N, classes)."""
    return _mobilenet_v3("mobilenet_v3_large", _LARGE, 1280, **options)
