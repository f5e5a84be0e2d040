"""Inception v1 (GoogLeNet): Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842, table 1.

The paper's network has no batch normalisation. What torchvision calls googlenet has, and differs in
two more places; it is here as `inception_v1_bn`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, scaled
from dlkit.networks._inception import conv_bn, overhanging_max_pool
from dlkit.networks._layers import local_response_normalization

_PAPER = "Szegedy et al. 2014, arXiv:1409.4842, table 1"

_FILTERS = {  # 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_CAFFE = "{}_1x1 {}_3x3_reduce {}_3x3 {}_5x5_reduce {}_5x5 {}_pool {}_pool_proj {}_output"
_CAFFE_HEAD = "{}_ave_pool {}_conv {}_flatten {}_fc {}_drop_fc {}_classifier"
_TORCH = "{}_branch1 {}_branch2_0 {}_branch2_1 {}_branch3_0 {}_branch3_1 {}_branch4_0 {}_branch4_1 {}_concat"
_TORCH_HEAD = "{}_avgpool {}_conv {}_flatten {}_fc1 {}_dropout {}_fc2"


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, *, width: float, **options: Any
) -> keras.KerasTensor:
    """Convolution with bias and ReLU: (N, H, W, C) → (N, H, W, filters × width)."""
    options = {"padding": "same", "activation": "relu"} | options
    return keras.layers.Conv2D(scaled(filters, width), kernel, name=name, **options)(x)


def _inception(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], filters: tuple[int, ...], wide: int, names: list[str]
) -> keras.KerasTensor:
    """Four branches side by side (figure 2b): (N, H, W, C) → (N, H, W, sum of the branches' filters)."""
    one, reduce_three, three, reduce_wide, of_wide, projection = filters
    branches = [
        conv(x, one, 1, names[0]),
        conv(conv(x, reduce_three, 1, names[1]), three, 3, names[2]),
        conv(conv(x, reduce_wide, 1, names[3]), of_wide, wide, names[4]),
    ]
    pooled = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=names[5])(x)
    branches.append(conv(pooled, projection, 1, names[6]))
    return keras.layers.Concatenate(name=names[7])(branches)


def _auxiliary(
    x: keras.KerasTensor,
    conv: Callable[..., keras.KerasTensor],
    width: float,
    classes: int,
    activation: str,
    names: list[str],
) -> keras.KerasTensor:
    """A head for training in the middle of the network (section 5): (N, H, W, C) → (N, classes)."""
    layers = keras.layers
    x = layers.AveragePooling2D(5, strides=3, name=names[0])(x)  # (N, 4, 4, C) of 14×14
    x = layers.Flatten(name=names[2])(conv(x, 128, 1, names[1]))
    x = layers.Dense(scaled(1024, width), activation="relu", name=names[3])(x)
    x = layers.Dropout(0.7, name=names[4])(x)
    return layers.Dense(classes, activation=activation, name=names[5])(x)


def _named(names: str, name: str) -> list[str]:
    """The layers' `names` for the module `name`."""
    return names.replace("{}", name).split()


@network(
    family="Inception",
    input=(224, 224, 3),
    classes=1000,
    parameters=6_998_552,
    trainable=6_998_552,
    multiply_adds=1_582_671_872,
    paper=_PAPER,
    reference="Caffe bvlc_googlenet, for the order of pooling and normalisation",
    variant="as in the paper: local response normalisation, 5×5 branch, no batch normalisation",
    preprocessing="caffe",
    smallest=31,
    ranges=WIDTH,
    small={"input_shape": [32, 32, 3], "classes": 10, "width": 0.25},
)
def inception_v1(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.4,
    auxiliary: bool = False,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Nine Inception modules between poolings: (N, H, W, C) float32 → (N, classes).

    With `auxiliary` there are two more outputs (N, classes), [main, loss1, loss2], from heads on 4a
    and 4d that training weights with 0.3 and that are dropped afterwards (section 5); they need
    images of at least 79×79 and make 13,378,280 parameters at 224×224. Layers have Caffe's names
    with "_" for "/". Poolings reach over the edge as Caffe's do; local response normalisation has
    Caffe's size 5, α = 1e-4 / 5, β = 0.75, k = 1.
    """
    layers, conv = keras.layers, functools.partial(_conv, width=width)
    image = keras.Input(input_shape, name="image")
    x = layers.ZeroPadding2D(3, name="conv1_7x7_s2_pad")(image)
    x = conv(x, 64, 7, "conv1_7x7_s2", strides=2, padding="valid")
    x = overhanging_max_pool(x, "pool1_3x3_s2")
    x = local_response_normalization(size=5, alpha=2e-5, k=1.0, name="pool1_norm1")(x)  # (N, H/4, W/4, 64)
    x = conv(x, 64, 1, "conv2_3x3_reduce")
    x = conv(x, 192, 3, "conv2_3x3")
    x = local_response_normalization(size=5, alpha=2e-5, k=1.0, name="conv2_norm2")(x)
    x = overhanging_max_pool(x, "pool2_3x3_s2")  # (N, H/8, W/8, 192)
    modules = {}
    for module, filters in _FILTERS.items():
        modules[module] = x = _inception(x, conv, filters, 5, _named(_CAFFE, f"inception_{module}"))
        if module in ("3b", "4e"):
            x = overhanging_max_pool(x, f"pool{module[0]}_3x3_s2")
    if include_top:
        x = classifier(x, classes, activation, dropout, "pool5_7x7_s1 pool5_drop_7x7_s1 loss3_classifier")
    if include_top and auxiliary:
        head = functools.partial(_auxiliary, conv=conv, width=width, classes=classes, activation=activation)
        x = [
            x,
            *(head(modules[at], names=_named(_CAFFE_HEAD, name)) for at, name in (("4a", "loss1"), ("4d", "loss2"))),
        ]
    return keras.Model(image, x, name="inception_v1")


@network(
    family="Inception",
    input=(224, 224, 3),
    classes=1000,
    parameters=6_639_464,
    trainable=6_624_904,
    multiply_adds=1_498_376_192,
    paper=_PAPER,
    reference="torchvision googlenet",
    variant="torchvision's, whose weights are for it: batch normalisation, 3×3 in place of 5×5, 2×2 pooling before 5a",
    preprocessing="signed",
    smallest=15,
    ranges=WIDTH,
    small={"input_shape": [32, 32, 3], "classes": 10, "width": 0.25},
)
def inception_v1_bn(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.2,
    momentum: float = 0.9,
    auxiliary: bool = False,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """GoogLeNet with batch normalisation: (N, H, W, C) float32 → (N, classes).

    With `auxiliary` there are two more outputs (N, classes), [main, aux1, aux2], from heads on 4a
    and 4d for training, weighted with 0.3; they need images of at least 79×79 and make 13,019,960
    parameters at 224×224. The heads pool as in the paper (5×5, stride 3), where torchvision divides
    the image into 4×4 parts. Layers are named like torchvision's modules with "_" for ".". Poolings
    reach over the edge (ceil_mode). torchvision's own weights want inputs from -1 to 1
    (transform_input).
    """
    layers, conv = keras.layers, functools.partial(conv_bn, width=width, momentum=momentum)
    image = keras.Input(input_shape, name="image")
    x = overhanging_max_pool(conv(image, 64, 7, "conv1", strides=2, padding=3), "maxpool1")  # (N, H/4, W/4, 64)
    x = conv(conv(x, 64, 1, "conv2"), 192, 3, "conv3")
    x = overhanging_max_pool(x, "maxpool2")  # (N, H/8, W/8, 192)
    modules = {}
    for module, filters in _FILTERS.items():
        modules[module] = x = _inception(x, conv, filters, 3, _named(_TORCH, f"inception{module}"))
        if module == "3b":
            x = overhanging_max_pool(x, "maxpool3")
        if module == "4e":
            x = layers.MaxPooling2D(2, padding="same", name="maxpool4")(x)
    if include_top:
        x = classifier(x, classes, activation, dropout, "avgpool dropout fc")
    if include_top and auxiliary:
        head = functools.partial(_auxiliary, conv=conv, width=width, classes=classes, activation=activation)
        x = [x, *(head(modules[at], names=_named(_TORCH_HEAD, name)) for at, name in (("4a", "aux1"), ("4d", "aux2")))]
    return keras.Model(image, x, name="inception_v1_bn")
