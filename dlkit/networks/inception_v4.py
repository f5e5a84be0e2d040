"""Inception v4: Szegedy et al. 2016, "Inception-v4, Inception-ResNet", arXiv:1602.07261, figures 3 to 9."""

from __future__ import annotations

import functools
from collections.abc import Callable

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier
from dlkit.networks._inception import branch, conv_bn


@network(
    family="Inception",
    input=(299, 299, 3),
    classes=1000,
    parameters=42_742_984,
    trainable=42_679_816,
    multiply_adds=12_253_974_624,
    paper="Szegedy et al. 2016, arXiv:1602.07261, figure 9",
    reference="timm inception_v4",
    preprocessing="signed",
    smallest=75,
    ranges=WIDTH,
    small={"input_shape": [75, 75, 3], "classes": 10, "width": 0.125, "repeats": [1, 1, 1]},
)
def inception_v4(
    *,
    input_shape: tuple[int, int, int] = (299, 299, 3),
    classes: int = 1000,
    width: float = 1.0,
    repeats: tuple[int, int, int] = (4, 7, 3),
    dropout: float = 0.2,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """A branched stem, then Inception A, B and C, `repeats` times each: (N, H, W, C) float32 → (N, classes).

    Layers are named like timm's modules with "_" for "."; their numbers move with `repeats`.
    Average pooling does not count zeros at the edges. Dropout as in figure 9 (keep 0.8).
    """
    conv = functools.partial(conv_bn, width=width, momentum=momentum)
    image = keras.Input(input_shape, name="image")
    x = _stem(image, conv)  # (N, 35, 35, 384) of 299×299
    a, b, c = repeats
    modules = [_inception_a] * a + [_reduction_a] + [_inception_b] * b + [_reduction_b] + [_inception_c] * c
    for number, module in enumerate(modules, start=6):
        x = keras.layers.Concatenate(name=f"features_{number}")(module(x, conv, f"features_{number}"))
    if include_top:
        x = classifier(x, classes, activation, dropout, "global_pool head_drop last_linear")
    return keras.Model(image, x, name="inception_v4")


def _average(x: keras.KerasTensor, module: str) -> keras.KerasTensor:
    return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=f"{module}_avgpool")(x)


def _maximum(x: keras.KerasTensor, module: str) -> keras.KerasTensor:
    return keras.layers.MaxPooling2D(3, strides=2, name=f"{module}_maxpool")(x)


def _stem(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor]) -> keras.KerasTensor:
    """Figure 3: (N, H, W, C) → (N, H / 8, W / 8, 384)."""
    concatenate = keras.layers.Concatenate
    reduce = functools.partial(conv, strides=2, padding="valid")
    x = reduce(x, 32, 3, "features_0")
    x = conv(conv(x, 32, 3, "features_1", padding="valid"), 64, 3, "features_2")
    x = concatenate(name="features_3")([_maximum(x, "features_3"), reduce(x, 96, 3, "features_3_conv")])
    plain = conv(x, 64, 1, "features_4_branch0_0")
    long = branch(x, conv, "features_4_branch1", (64, 1), (64, (1, 7)), (64, (7, 1)))
    ends = [(plain, "features_4_branch0_1"), (long, "features_4_branch1_3")]
    x = concatenate(name="features_4")([conv(end, 96, 3, name, padding="valid") for end, name in ends])
    return concatenate(name="features_5")([reduce(x, 192, 3, "features_5_conv"), _maximum(x, "features_5")])


def _inception_a(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Figure 4: (N, H, W, C) → branches that make (N, H, W, 384)."""
    return [
        conv(x, 96, 1, f"{name}_branch0"),
        branch(x, conv, f"{name}_branch1", (64, 1), (96, 3)),
        branch(x, conv, f"{name}_branch2", (64, 1), (96, 3), (96, 3)),
        conv(_average(x, name), 96, 1, f"{name}_branch3_1"),
    ]


def _reduction_a(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Figure 7 with k, l, m, n = 192, 224, 256, 384: (N, H, W, C) → branches that make (N, H / 2, W / 2, 1024)."""
    long = branch(x, conv, f"{name}_branch1", (192, 1), (224, 3))
    return [
        conv(x, 384, 3, f"{name}_branch0", strides=2, padding="valid"),
        conv(long, 256, 3, f"{name}_branch1_2", strides=2, padding="valid"),
        _maximum(x, name),
    ]


def _inception_b(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Figure 5: (N, H, W, C) → branches that make (N, H, W, 1024)."""
    row, column = (1, 7), (7, 1)
    return [
        conv(x, 384, 1, f"{name}_branch0"),
        branch(x, conv, f"{name}_branch1", (192, 1), (224, row), (256, column)),
        branch(x, conv, f"{name}_branch2", (192, 1), (192, column), (224, row), (224, column), (256, row)),
        conv(_average(x, name), 128, 1, f"{name}_branch3_1"),
    ]


def _reduction_b(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Figure 8: (N, H, W, C) → branches that make (N, H / 2, W / 2, 1536)."""
    short = conv(x, 192, 1, f"{name}_branch0_0")
    long = branch(x, conv, f"{name}_branch1", (256, 1), (256, (1, 7)), (320, (7, 1)))
    return [
        conv(short, 192, 3, f"{name}_branch0_1", strides=2, padding="valid"),
        conv(long, 320, 3, f"{name}_branch1_3", strides=2, padding="valid"),
        _maximum(x, name),
    ]


def _inception_c(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Figure 6: (N, H, W, C) → branches that make (N, H, W, 1536)."""
    row, column = (1, 3), (3, 1)
    short = conv(x, 384, 1, f"{name}_branch1_0")
    long = branch(x, conv, f"{name}_branch2", (384, 1), (448, column), (512, row))
    return [
        conv(x, 256, 1, f"{name}_branch0"),
        conv(short, 256, row, f"{name}_branch1_1a"),
        conv(short, 256, column, f"{name}_branch1_1b"),
        conv(long, 256, row, f"{name}_branch2_3a"),
        conv(long, 256, column, f"{name}_branch2_3b"),
        conv(_average(x, name), 256, 1, f"{name}_branch3_1"),
    ]
