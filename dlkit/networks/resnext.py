"""ResNeXt: Xie et al. 2016, "Aggregated Residual Transformations", arXiv:1611.05431, table 1 and section 5.3."""

from __future__ import annotations

import functools
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import network
from dlkit.networks._blocks import classifier
from dlkit.networks._residual import residual, resnet_stem, symmetric_conv_bn


def _resnext(
    name: str,
    blocks: tuple[int, ...],
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    cardinality: int = 32,
    width: int = 4,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Blocks of 1×1, grouped 3×3 and 1×1 convolutions: (N, H, W, C) float32 → (N, classes).

    `cardinality` is the number of groups and `width` that of filters in each in the first stage
    (the paper's C and d); a stage ends in 256, 512, … filters whatever they are. Layers have the
    names of torchvision's modules ("layer1.0.conv1" is `layer1_0_conv1`), also where another
    implementation is followed. Three stages are the network for CIFAR, whose first convolution
    keeps the size. `momentum` is that of batch normalisation.
    """
    image = keras.Input(input_shape, name="image")
    if len(blocks) == 3:
        x = symmetric_conv_bn(image, 64, 3, 1, momentum, "conv1 bn1 relu")
    else:
        x = resnet_stem(image, 64, momentum)
    for stage, depth in enumerate(blocks):
        inner, outer = cardinality * width * 2**stage, 256 * 2**stage
        for block in range(depth):
            here, stride = f"layer{stage + 1}_{block}", 2 if stage > 0 and block == 0 else 1
            y = symmetric_conv_bn(x, inner, 1, 1, momentum, f"{here}_conv1 {here}_bn1 {here}_relu1")
            names = f"{here}_conv2 {here}_bn2 {here}_relu2"
            y = symmetric_conv_bn(y, inner, 3, stride, momentum, names, groups=cardinality)
            y = symmetric_conv_bn(y, outer, 1, 1, momentum, f"{here}_conv3 {here}_bn3")
            x = residual(x, y, stride, momentum, here)
    if include_top:
        x = classifier(x, classes, activation, names="avgpool dropout fc")
    return keras.Model(image, x, name=name)


_32x8d = functools.partial(_resnext, cardinality=32, width=8)
_64x4d = functools.partial(_resnext, cardinality=64, width=4)
_cifar_8x64d = functools.partial(_resnext, input_shape=(32, 32, 3), classes=10, cardinality=8, width=64)

_FACTS: dict[str, Any] = {"family": "ResNeXt", "preprocessing": "torch"}
_IMAGENET: dict[str, Any] = {
    **_FACTS,
    "input": (224, 224, 3),
    "classes": 1000,
    "small": {"input_shape": [64, 64, 3], "classes": 10, "cardinality": 4, "width": 2},
}
_PAPER = "Xie et al. 2016, arXiv:1611.05431"


@network(
    like=_resnext,
    parameters=25_097_128,
    trainable=25_028_904,
    multiply_adds=4_230_479_872,
    paper=f"{_PAPER}, table 1",
    reference="torchvision resnext50_32x4d",
    **_IMAGENET,
)
def resnext50_32x4d(**options: Any) -> keras.Model:
    """ResNeXt-50, 32 groups of 4: (N, H, W, C) float32 → (N, classes)."""
    return _resnext("resnext50_32x4d", (3, 4, 6, 3), **options)


@network(
    like=_resnext,
    parameters=44_315_560,
    trainable=44_177_704,
    multiply_adds=7_969_996_800,
    paper=f"{_PAPER}, table 3",
    reference="timm resnext101_32x4d",
    variant="the paper's; torchvision has 32×8d and 64×4d instead",
    **_IMAGENET,
)
def resnext101_32x4d(**options: Any) -> keras.Model:
    """ResNeXt-101, 32 groups of 4: (N, H, W, C) float32 → (N, classes)."""
    return _resnext("resnext101_32x4d", (3, 4, 23, 3), **options)


@network(
    like=_32x8d,
    parameters=88_994_216,
    trainable=88_791_336,
    multiply_adds=16_414_015_488,
    paper=f"{_PAPER}; this width is not in it",
    reference="torchvision resnext101_32x8d",
    **_IMAGENET,
)
def resnext101_32x8d(**options: Any) -> keras.Model:
    """ResNeXt-101, 32 groups of 8: (N, H, W, C) float32 → (N, classes)."""
    return _32x8d("resnext101_32x8d", (3, 4, 23, 3), **options)


@network(
    like=_64x4d,
    parameters=83_658_152,
    trainable=83_455_272,
    multiply_adds=15_460_270_080,
    paper=f"{_PAPER}, table 4",
    reference="torchvision resnext101_64x4d",
    **_IMAGENET,
)
def resnext101_64x4d(**options: Any) -> keras.Model:
    """ResNeXt-101, 64 groups of 4: (N, H, W, C) float32 → (N, classes)."""
    return _64x4d("resnext101_64x4d", (3, 4, 23, 3), **options)


@network(
    like=_cifar_8x64d,
    input=(32, 32, 3),
    classes=10,
    parameters=34_484_170,
    trainable=34_426_698,
    multiply_adds=5_387_266_048,
    paper=f"{_PAPER}, section 5.3 and table 7",
    reference="pytorchcv get_resnext_cifar(blocks=29, cardinality=8, bottleneck_width=64)",
    small={"input_shape": [16, 16, 3], "cardinality": 4, "width": 2},
    **_FACTS,
)
def resnext29_8x64d(**options: Any) -> keras.Model:
    """ResNeXt-29 for CIFAR, 8 groups of 64: (N, H, W, C) float32 → (N, classes)."""
    return _cifar_8x64d("resnext29_8x64d", (3, 3, 3), **options)
