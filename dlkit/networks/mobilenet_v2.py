"""MobileNetV2: Sandler et al. 2018, "Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381, table 2."""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, divisible

# Expansion t, channels c, repeats n, stride s of the first; the paper's table 2.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@network(
    family="MobileNet",
    input=(224, 224, 3),
    classes=1000,
    parameters=3_538_984,
    trainable=3_504_872,
    multiply_adds=300_774_272,
    paper="Sandler et al. 2018, arXiv:1801.04381, table 2",
    reference="keras.applications.MobileNetV2",
    applications="MobileNetV2",
    preprocessing="signed",
    ranges=WIDTH,
    small={"input_shape": [32, 32, 3], "classes": 10, "width": 0.125},
    variant="padded as in TensorFlow; torchvision's, padded on all sides, has the same counts and other answers",
)
def mobilenet_v2(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.0,
    momentum: float = 0.999,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """MobileNetV2, 17 inverted residuals with linear bottlenecks: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`. `width` is its alpha: filters are
    rounded to multiples of 8, and the last convolution keeps its 1280 for a width below 1.
    `momentum` is that of batch normalisation (0.9 for runs under about 500 steps).
    """
    layers = keras.layers

    def norm(x: keras.KerasTensor, name: str, relu: str = "") -> keras.KerasTensor:
        x = layers.BatchNormalization(epsilon=1e-3, momentum=momentum, name=name)(x)
        return layers.ReLU(6.0, name=relu)(x) if relu else x

    def residual(x: keras.KerasTensor, block: int, expansion: int, filters: int, stride: int) -> keras.KerasTensor:
        y, here = x, f"block_{block}" if block else "expanded_conv"
        if block:
            y = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{here}_expand")(y)
            y = norm(y, f"{here}_expand_BN", f"{here}_expand_relu")
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{here}_depthwise")(y)
        y = norm(y, f"{here}_depthwise_BN", f"{here}_depthwise_relu")
        y = norm(layers.Conv2D(filters, 1, use_bias=False, name=f"{here}_project")(y), f"{here}_project_BN")
        return layers.Add(name=f"{here}_add")([x, y]) if stride == 1 and filters == x.shape[-1] else y

    image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(divisible(32 * width), 3, strides=2, padding="same", use_bias=False, name="Conv1")(image)
    x = norm(x, "bn_Conv1", "Conv1_relu")  # (N, H / 2, W / 2, 32)
    blocks = [(t, c, s if first else 1) for t, c, n, s in _STAGES for first in [True] + [False] * (n - 1)]
    for block, (expansion, filters, stride) in enumerate(blocks):
        x = residual(x, block, expansion, divisible(int(filters * width)), stride)  # (N, H / 2 / stride…, …, filters)
    x = layers.Conv2D(divisible(1280 * max(1.0, width)), 1, use_bias=False, name="Conv_1")(x)
    x = norm(x, "Conv_1_bn", "out_relu")  # (N, H / 32, W / 32, 1280)
    if include_top:
        x = classifier(x, classes, activation, dropout)
    return keras.Model(image, x, name="mobilenet_v2")
