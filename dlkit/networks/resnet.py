"""ResNet: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1."""

from __future__ import annotations

import functools
from typing import Any, Literal

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, scaled
from dlkit.networks._residual import residual, resnet_stem, symmetric_conv_bn

_PAPER = "He et al. 2015, arXiv:1512.03385, table 1"
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _basic(
    name: str,
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Four stages of blocks of two 3×3 convolutions: (N, H, W, C) float32 → (N, classes).

    As torchvision: convolutions have no bias, a shortcut whose shape changes is a 1×1 convolution
    (option B), and layers have the names of the modules ("layer1.0.conv1" is `layer1_0_conv1`).
    `momentum` is that of batch normalisation.
    """
    image = keras.Input(input_shape, name="image")
    x = resnet_stem(image, scaled(64, width), momentum)
    for stage, blocks in enumerate(_BLOCKS[depth]):
        filters = scaled(64 * 2**stage, width)
        for block in range(blocks):
            here, stride = f"layer{stage + 1}_{block}", 2 if stage > 0 and block == 0 else 1
            y = symmetric_conv_bn(x, filters, 3, stride, momentum, f"{here}_conv1 {here}_bn1 {here}_relu1")
            y = symmetric_conv_bn(y, filters, 3, 1, momentum, f"{here}_conv2 {here}_bn2")
            x = residual(x, y, stride, momentum, here)  # (N, H / 2^(stage+2), W / 2^(stage+2), filters)
    if include_top:
        x = classifier(x, classes, activation, names="avgpool dropout fc")
    return keras.Model(image, x, name=name)


_BASIC: dict[str, Any] = {
    "like": _basic,
    "family": "ResNet",
    "input": (224, 224, 3),
    "classes": 1000,
    "paper": _PAPER,
    "variant": "shortcuts of option B, convolutions without bias",
    "preprocessing": "torch",
    "ranges": WIDTH,
    "small": {"input_shape": [64, 64, 3], "classes": 10, "width": 0.125},
}


@network(
    parameters=11_699_112,
    trainable=11_689_512,
    multiply_adds=1_814_073_344,
    reference="torchvision resnet18",
    **_BASIC,
)
def resnet18(**options: Any) -> keras.Model:
    """ResNet-18: (N, H, W, C) float32 → (N, classes)."""
    return _basic("resnet18", 18, **options)


@network(
    parameters=21_814_696,
    trainable=21_797_672,
    multiply_adds=3_663_761_408,
    reference="torchvision resnet34",
    **_BASIC,
)
def resnet34(**options: Any) -> keras.Model:
    """ResNet-34: (N, H, W, C) float32 → (N, classes)."""
    return _basic("resnet34", 34, **options)


def _bottleneck(
    name: str,
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    momentum: float = 0.99,
    variant: Literal["v1", "v1.5"] = "v1",
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Four stages of blocks of 1×1, 3×3 and 1×1 convolutions: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`. The variant "v1" is its network:
    a stage halves the size in its first 1×1 convolution, as in the paper, and convolutions have a
    bias. "v1.5" is torchvision's: halved in the first 3×3 convolution, no bias, epsilon 1e-5;
    slower and better. `momentum` is that of batch normalisation.
    """
    image = keras.Input(input_shape, name="image")
    x = _conv_bn(image, scaled(64, width), 7, 2, "conv1", variant, momentum)
    x = keras.layers.ReLU(name="conv1_relu")(x)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros are as good as -∞ after a ReLU
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, blocks in enumerate(_BLOCKS[depth]):
        for block in range(blocks):
            here, stride = f"conv{stage + 2}_block{block + 1}", 2 if stage > 0 and block == 0 else 1
            x = _bottleneck_block(x, scaled(64 * 2**stage, width), stride, block == 0, here, variant, momentum)
    if include_top:
        x = classifier(x, classes, activation)
    return keras.Model(image, x, name=name)


def _bottleneck_block(
    x: keras.KerasTensor, filters: int, stride: int, projected: bool, name: str, variant: str, momentum: float
) -> keras.KerasTensor:
    """(N, H, W, C) → (N, H / stride, W / stride, 4 · filters)."""
    layers, conv_bn = keras.layers, functools.partial(_conv_bn, variant=variant, momentum=momentum)
    first, second = (stride, 1) if variant == "v1" else (1, stride)
    shortcut = conv_bn(x, 4 * filters, 1, stride, f"{name}_0") if projected else x
    x = layers.ReLU(name=f"{name}_1_relu")(conv_bn(x, filters, 1, first, f"{name}_1"))
    x = layers.ReLU(name=f"{name}_2_relu")(conv_bn(x, filters, 3, second, f"{name}_2"))
    x = layers.Add(name=f"{name}_add")([shortcut, conv_bn(x, 4 * filters, 1, 1, f"{name}_3")])
    return layers.ReLU(name=f"{name}_out")(x)


def _conv_bn(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, variant: str, momentum: float
) -> keras.KerasTensor:
    """A convolution padded alike on all sides, and its normalisation."""
    layers, v1 = keras.layers, variant == "v1"
    if kernel > 1 and stride > 1:  # where "same" would pad below and right
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    padding = "valid" if stride > 1 else "same"
    x = layers.Conv2D(
        filters, kernel, stride, padding, use_bias=v1, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    return layers.BatchNormalization(epsilon=1.001e-5 if v1 else 1e-5, momentum=momentum, name=f"{name}_bn")(x)


_BOTTLENECK: dict[str, Any] = {
    "like": _bottleneck,
    "family": "ResNet",
    "input": (224, 224, 3),
    "classes": 1000,
    "paper": _PAPER,
    "preprocessing": "caffe",
    "ranges": WIDTH,
    "small": {"input_shape": [64, 64, 3], "classes": 10, "width": 0.125},
}


@network(
    parameters=25_636_712,
    trainable=25_583_592,
    multiply_adds=3_857_973_248,
    reference="keras.applications.ResNet50",
    applications="ResNet50",
    variant="v1, stride in the first 1×1; --set variant=v1.5 is torchvision's: 25,610,152, 4,089 M multiply-adds",
    **_BOTTLENECK,
)
def resnet50(**options: Any) -> keras.Model:
    """ResNet-50: (N, H, W, C) float32 → (N, classes)."""
    return _bottleneck("resnet50", 50, **options)


@network(
    parameters=44_707_176,
    trainable=44_601_832,
    multiply_adds=7_570_194_432,
    reference="keras.applications.ResNet101",
    applications="ResNet101",
    variant="v1, stride in the first 1×1; --set variant=v1.5 is torchvision's: 44,654,504, 7,801 M multiply-adds",
    **_BOTTLENECK,
)
def resnet101(**options: Any) -> keras.Model:
    """ResNet-101: (N, H, W, C) float32 → (N, classes)."""
    return _bottleneck("resnet101", 101, **options)


@network(
    parameters=60_419_944,
    trainable=60_268_520,
    multiply_adds=11_282_415_616,
    reference="keras.applications.ResNet152",
    applications="ResNet152",
    variant="v1, stride in the first 1×1; --set variant=v1.5 is torchvision's: 60,344,232, 11,514 M multiply-adds",
    **_BOTTLENECK,
)
def resnet152(**options: Any) -> keras.Model:
    """ResNet-152: (N, H, W, C) float32 → (N, classes)."""
    return _bottleneck("resnet152", 152, **options)
