"""DenseNet: Huang et al. 2016, "Densely Connected Convolutional Networks", arXiv:1608.06993.

The networks for ImageNet are those of table 1, the networks for CIFAR those of section 3 and table 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import network
from dlkit.networks._blocks import classifier

_PAPER = "Huang et al. 2016, arXiv:1608.06993, table"


def _densenet(
    name: str,
    blocks: tuple[int, ...],
    epsilon: float = 1.001e-5,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    growth: int = 32,
    compression: float = 0.5,
    dropout: float = 0.0,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """A 7×7 stem and four dense blocks: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`. `growth` is the paper's k: the
    channels that every layer of a block adds; the stem has 2k. A transition keeps `compression` of
    the channels. Dropout as in section 4.2 but after the 3×3 convolutions alone, as in torchvision.
    `momentum` is that of batch normalisation (0.9 for runs under about 500 steps).
    """
    layers, norm = keras.layers, _normalisation(epsilon, momentum)
    image = keras.Input(input_shape, name="image")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = _convolution(2 * growth, 7, "conv1_conv", strides=2, padding="valid")(x)  # (N, H / 2, W / 2, 2k)
    x = layers.ReLU(name="conv1_relu")(norm(name="conv1_bn")(x))
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros lose against what a ReLU lets through
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # (N, H / 4, W / 4, 2k)
    x = _features(x, blocks, growth, compression, True, dropout, norm)
    if include_top:
        x = classifier(x, classes, activation)
    return keras.Model(image, x, name=name)


def _cifar(
    name: str,
    depth: int,
    bc: bool,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    growth: int = 12,
    dropout: float = 0.0,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """A 3×3 stem and three dense blocks of `depth` layers each: (N, H, W, C) float32 → (N, classes).

    The plain network (`bc` false) has 16 channels in its stem, one convolution a layer and
    transitions that keep all channels; DenseNet-BC has 2k, bottlenecks and a compression of 0.5.
    Layers are named as in the networks for ImageNet.
    """
    image = keras.Input(input_shape, name="image")
    x = _convolution(2 * growth if bc else 16, 3, "conv1_conv")(image)
    x = _features(x, (depth,) * 3, growth, 0.5 if bc else 1.0, bc, dropout, _normalisation(1e-5, momentum))
    if include_top:
        x = classifier(x, classes, activation)
    return keras.Model(image, x, name=name)


def _features(
    x: keras.KerasTensor,
    blocks: tuple[int, ...],
    growth: int,
    compression: float,
    bottleneck: bool,
    dropout: float,
    norm: Callable[..., Any],
) -> keras.KerasTensor:
    """Dense blocks with a transition between every two, then normalisation and ReLU."""
    layers = keras.layers
    for stage, depth in enumerate(blocks, start=2):
        if stage > 2:
            here = f"pool{stage - 1}"
            x = _norm_relu(x, here, norm)
            x = _convolution(int(x.shape[-1] * compression), 1, f"{here}_conv")(x)
            x = layers.AveragePooling2D(2, name=f"{here}_pool")(x)
        for block in range(1, depth + 1):
            here = f"conv{stage}_block{block}"
            y = _added(x, growth, bottleneck, norm, here)
            if dropout:
                y = layers.Dropout(dropout, name=f"{here}_dropout")(y)
            x = layers.Concatenate(name=f"{here}_concat")([x, y])  # (N, H, W, C + k)
    return layers.ReLU(name="relu")(norm(name="bn")(x))


def _added(
    x: keras.KerasTensor, growth: int, bottleneck: bool, norm: Callable[..., Any], here: str
) -> keras.KerasTensor:
    """What a layer of a dense block adds: (N, H, W, C) → (N, H, W, k), over 4k channels with a bottleneck."""
    x = _norm_relu(x, f"{here}_0", norm)
    if not bottleneck:
        return _convolution(growth, 3, f"{here}_1_conv")(x)
    x = _convolution(4 * growth, 1, f"{here}_1_conv")(x)
    x = _norm_relu(x, f"{here}_1", norm)
    return _convolution(growth, 3, f"{here}_2_conv")(x)


def _norm_relu(x: keras.KerasTensor, here: str, norm: Callable[..., Any]) -> keras.KerasTensor:
    return keras.layers.ReLU(name=f"{here}_relu")(norm(name=f"{here}_bn")(x))


def _normalisation(epsilon: float, momentum: float) -> Callable[..., Any]:
    return functools.partial(keras.layers.BatchNormalization, epsilon=epsilon, momentum=momentum)


def _convolution(filters: int, kernel: int, name: str, strides: int = 1, padding: str = "same") -> keras.layers.Layer:
    """Without bias; initialised after He et al. 2015, as in section 4.2."""
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )


_IMAGENET: dict[str, Any] = {
    "family": "DenseNet",
    "input": (224, 224, 3),
    "classes": 1000,
    "preprocessing": "torch",
    "smallest": 29,
    "small": {"input_shape": [32, 32, 3], "classes": 10, "growth": 4},
}


@network(
    like=_densenet,
    parameters=8_062_504,
    trainable=7_978_856,
    multiply_adds=2_834_161_664,
    paper=f"{_PAPER} 1",
    reference="keras.applications.DenseNet121",
    applications="DenseNet121",
    **_IMAGENET,
)
def densenet121(**options: Any) -> keras.Model:
    """DenseNet-121, blocks of 6, 12, 24 and 16 layers: (N, H, W, C) float32 → (N, classes)."""
    return _densenet("densenet121", (6, 12, 24, 16), **options)


@network(
    like=_densenet,
    parameters=14_307_880,
    trainable=14_149_480,
    multiply_adds=3_359_843_328,
    paper=f"{_PAPER} 1",
    reference="keras.applications.DenseNet169",
    applications="DenseNet169",
    **_IMAGENET,
)
def densenet169(**options: Any) -> keras.Model:
    """DenseNet-169, blocks of 6, 12, 32 and 32 layers: (N, H, W, C) float32 → (N, classes)."""
    return _densenet("densenet169", (6, 12, 32, 32), **options)


@network(
    like=_densenet,
    parameters=20_242_984,
    trainable=20_013_928,
    multiply_adds=4_291_365_888,
    paper=f"{_PAPER} 1",
    reference="keras.applications.DenseNet201",
    applications="DenseNet201",
    **_IMAGENET,
)
def densenet201(**options: Any) -> keras.Model:
    """DenseNet-201, blocks of 6, 12, 48 and 32 layers: (N, H, W, C) float32 → (N, classes)."""
    return _densenet("densenet201", (6, 12, 48, 32), **options)


_densenet264 = functools.partial(_densenet, momentum=0.9)  # torchvision's


@network(
    like=_densenet264,
    parameters=33_736_232,
    trainable=33_337_704,
    multiply_adds=5_751_653_376,
    paper=f"{_PAPER} 1",
    reference="torchvision DenseNet(32, (6, 12, 64, 48), 64)",
    variant="growth 32 as in table 1; timm's densenet264d has growth 48 and another stem (73,334,200)",
    **_IMAGENET,
)
def densenet264(**options: Any) -> keras.Model:
    """DenseNet-264, blocks of 6, 12, 64 and 48 layers: (N, H, W, C) float32 → (N, classes).

    With ε and momentum of torchvision, and 265 layers with weights for all its name.
    """
    return _densenet264("densenet264", (6, 12, 64, 48), 1e-5, **options)


_CIFAR: dict[str, Any] = {
    "like": _cifar,
    "family": "DenseNet",
    "input": (32, 32, 3),
    "classes": 10,
    "paper": f"{_PAPER} 2",
    "smallest": 4,
    "small": {"input_shape": [8, 8, 3], "growth": 4},
}


@network(
    parameters=1_037_818,
    trainable=1_019_722,
    multiply_adds=264_812_928,
    reference="layers of pytorchcv's CIFARDenseNet, put together as in the paper",
    variant="as in the paper (1.0 M), 16 channels in the stem and no compression; "
    "pytorchcv's net of this name has 24 and halves at every transition (599,050)",
    **_CIFAR,
)
def densenet40(**options: Any) -> keras.Model:
    """DenseNet with L = 40 and k = 12, no bottleneck, no compression: (N, H, W, C) float32 → (N, classes)."""
    return _cifar("densenet40", 12, False, **options)


@network(
    parameters=793_150,
    trainable=769_162,
    multiply_adds=287_929_692,
    reference="pytorchcv densenet100_k12_bc_cifar10",
    **_CIFAR,
)
def densenet100_bc(**options: Any) -> keras.Model:
    """DenseNet-BC with L = 100 and k = 12, bottleneck and compression 0.5: (N, H, W, C) float32 → (N, classes)."""
    return _cifar("densenet100_bc", 16, True, **options)
