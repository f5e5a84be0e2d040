"""ResNet for CIFAR-10: He et al. 2015, arXiv:1512.03385, section 4.2 and table 6."""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, scaled
from dlkit.networks._residual import symmetric_conv_bn


def _resnet_cifar(
    name: str,
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Three stages of n blocks of two 3×3 convolutions, depth 6n + 2: (N, H, W, C) float32 → (N, classes).

    Shortcuts have no parameters (option A). As the PyTorch port of Y. Idelbayev
    (github.com/akamaster/pytorch_resnet_cifar10), with the names of its modules ("layer1.0.conv1"
    is `layer1_0_conv1`). `momentum` is that of batch normalisation.
    """
    image = keras.Input(input_shape, name="image")
    x = symmetric_conv_bn(image, scaled(16, width), 3, 1, momentum, "conv1 bn1 relu")
    for stage in range(3):
        filters = scaled(16 * 2**stage, width)
        for block in range((depth - 2) // 6):
            here, stride = f"layer{stage + 1}_{block}", 2 if stage > 0 and block == 0 else 1
            y = symmetric_conv_bn(x, filters, 3, stride, momentum, f"{here}_conv1 {here}_bn1 {here}_relu1")
            y = symmetric_conv_bn(y, filters, 3, 1, momentum, f"{here}_conv2 {here}_bn2")
            if stride > 1:
                x = _option_a(x, filters, here)
            x = keras.layers.Add(name=f"{here}_add")([x, y])
            x = keras.layers.ReLU(name=f"{here}_out")(x)  # (N, H / 2^stage, W / 2^stage, filters)
    if include_top:
        x = classifier(x, classes, activation, names="avgpool dropout linear")
    return keras.Model(image, x, name=name)


def _option_a(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Every second pixel, and zeros as further channels, half before and half after the others."""
    x = keras.layers.AveragePooling2D(1, strides=2, name=f"{name}_shortcut_pick")(x)
    more = filters - x.shape[-1]
    # Told that channels come first, the layer pads the last two axes: W by nothing, and the channels.
    padding = ((0, 0), (more // 2, more - more // 2))
    return keras.layers.ZeroPadding2D(padding, data_format="channels_first", name=f"{name}_shortcut_pad")(x)


_FACTS: dict[str, Any] = {
    "like": _resnet_cifar,
    "family": "ResNet",
    "input": (32, 32, 3),
    "classes": 10,
    "paper": "He et al. 2015, arXiv:1512.03385, section 4.2",
    "reference": "akamaster/pytorch_resnet_cifar10",
    "variant": "shortcuts without parameters (option A), as in the paper",
    "preprocessing": "torch",
    "ranges": WIDTH,
    "small": {"input_shape": [16, 16, 3], "width": 0.25},
}


@network(parameters=271_098, trainable=269_722, multiply_adds=40_551_040, **_FACTS)
def resnet20(**options: Any) -> keras.Model:
    """ResNet-20, n = 3: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_cifar("resnet20", 20, **options)


@network(parameters=466_426, trainable=464_154, multiply_adds=68_862_592, **_FACTS)
def resnet32(**options: Any) -> keras.Model:
    """ResNet-32, n = 5: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_cifar("resnet32", 32, **options)


@network(parameters=661_754, trainable=658_586, multiply_adds=97_174_144, **_FACTS)
def resnet44(**options: Any) -> keras.Model:
    """ResNet-44, n = 7: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_cifar("resnet44", 44, **options)


@network(parameters=857_082, trainable=853_018, multiply_adds=125_485_696, **_FACTS)
def resnet56(**options: Any) -> keras.Model:
    """ResNet-56, n = 9: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_cifar("resnet56", 56, **options)


@network(parameters=1_736_058, trainable=1_727_962, multiply_adds=252_887_680, **_FACTS)
def resnet110(**options: Any) -> keras.Model:
    """ResNet-110, n = 18: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_cifar("resnet110", 110, **options)
