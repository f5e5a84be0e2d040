"""Inception v2 (BN-Inception): Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, figure 5."""

from __future__ import annotations

import functools
from collections.abc import Callable

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier
from dlkit.networks._inception import conv_bn, overhanging_max_pool

_FILTERS = {  # 1×1, 3×3 reduce, 3×3, double 3×3 reduce, double 3×3, pool proj
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


@network(
    family="Inception",
    input=(224, 224, 3),
    classes=1000,
    parameters=11_315_272,
    trainable=11_295_240,
    multiply_adds=2_032_600_064,
    paper="Ioffe & Szegedy 2015, arXiv:1502.03167, figure 5",
    reference="pretrainedmodels bninception (from Caffe)",
    variant="BN-Inception, not the 42-layer v2 of arXiv:1512.00567; pool projections of 4c and 4d have 128 "
    "filters as in Caffe's, the paper's 96 make 11,214,888",
    preprocessing="caffe",
    smallest=7,
    ranges=WIDTH,
    small={"input_shape": [32, 32, 3], "classes": 10, "width": 0.25},
)
def inception_v2(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.0,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Inception with two 3×3 convolutions for each 5×5, all normalised: (N, H, W, C) float32 → (N, classes).

    Layers have Caffe's names with "_" for "/". Convolutions have a bias beside the normalisation's.
    Poolings reach over the edge as Caffe's do, and average pooling counts the zeros at the edges.
    Where 3c or 4e meets an odd side, for which Caffe cannot put the branches together, its pooling
    is centred like its convolutions.
    """
    conv = functools.partial(conv_bn, width=width, momentum=momentum, epsilon=1e-5, bias=True, names="{} {}_bn {}_relu")
    image = keras.Input(input_shape, name="image")
    x = overhanging_max_pool(conv(image, 64, 7, "conv1_7x7_s2", strides=2, padding=3), "pool1_3x3_s2")
    x = conv(conv(x, 64, 1, "conv2_3x3_reduce"), 192, 3, "conv2_3x3")
    x = overhanging_max_pool(x, "pool2_3x3_s2")  # (N, H/8, W/8, 192)
    for module, filters in _FILTERS.items():
        block = _reduction if module in ("3c", "4e") else _inception
        x = block(x, conv, f"inception_{module}", filters)
    if include_top:
        x = classifier(x, classes, activation, dropout, "global_pool dropout last_linear")
    return keras.Model(image, x, name="inception_v2")


def _inception(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, filters: tuple[int, ...]
) -> keras.KerasTensor:
    """Four branches side by side: (N, H, W, C) → (N, H, W, sum of the branches' filters)."""
    one, _, _, _, _, projection = filters
    three, double = _convolved(x, conv, name, filters, strides=1)
    pooled = _average(x, f"{name}_pool") if not name.endswith("5b") else _maximum(x, f"{name}_pool", strides=1)
    branches = [conv(x, one, 1, f"{name}_1x1"), three, double, conv(pooled, projection, 1, f"{name}_pool_proj")]
    return keras.layers.Concatenate(name=f"{name}_output")(branches)


def _reduction(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, filters: tuple[int, ...]
) -> keras.KerasTensor:
    """Three branches with stride 2, the last a pooling alone: (N, H, W, C) → (N, H / 2, W / 2, …)."""
    branches = [*_convolved(x, conv, name, filters, strides=2), _maximum(x, f"{name}_pool", strides=2)]
    return keras.layers.Concatenate(name=f"{name}_output")(branches)


def _convolved(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, filters: tuple[int, ...], strides: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The branches with one and with two 3×3 convolutions; the last convolution of each has the stride."""
    _, reduce_three, three, reduce_double, double, _ = filters
    last = {"strides": strides, "padding": 1 if strides > 1 else "same"}
    a = conv(x, reduce_three, 1, f"{name}_3x3_reduce")
    b = conv(x, reduce_double, 1, f"{name}_double_3x3_reduce")
    b = conv(b, double, 3, f"{name}_double_3x3_1")
    return conv(a, three, 3, f"{name}_3x3", **last), conv(b, double, 3, f"{name}_double_3x3_2", **last)


def _average(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """3×3 average pooling that counts the zeros at the edges: (N, H, W, C) → (N, H, W, C)."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=1, name=name)(x)


def _maximum(x: keras.KerasTensor, name: str, strides: int) -> keras.KerasTensor:
    return keras.layers.MaxPooling2D(3, strides=strides, padding="same", name=name)(x)
