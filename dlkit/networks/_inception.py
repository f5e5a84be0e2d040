"""What the Inception networks share: normalised convolutions, branches of them, poolings over the edge."""

from __future__ import annotations

from collections.abc import Callable

from dlkit.frameworks import keras
from dlkit.networks._blocks import scaled


def conv_bn(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    *,
    width: float,
    momentum: float,
    strides: int = 1,
    padding: str | int = "same",
    epsilon: float = 1e-3,
    scale: bool = True,
    bias: bool = False,
    names: str = "{}_conv {}_bn {}_relu",
) -> keras.KerasTensor:
    """Convolution, batch normalisation and ReLU: (N, H, W, C) → (N, H / strides, W / strides, filters × width).

    Args:
        padding: as in Keras, or the zeros at each edge (what torch and Caffe do).
        scale: whether the normalisation has a gamma.
        names: of the three layers, made of `name`.
    """
    layers = keras.layers
    conv, norm, relu = names.replace("{}", name).split()
    if isinstance(padding, int):
        x, padding = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x), "valid"
    filters = scaled(filters, width)
    x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=bias, name=conv)(x)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, scale=scale, name=norm)(x)
    return layers.ReLU(name=relu)(x)


def branch(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, *steps: tuple[int, int | tuple[int, int]]
) -> keras.KerasTensor:
    """A branch of an Inception module: `conv` for each (filters, kernel) of `steps`, called name_0, name_1, …"""
    for step, (filters, kernel) in enumerate(steps):
        x = conv(x, filters, kernel, f"{name}_{step}")
    return x


def overhanging_max_pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """3×3 max pooling with stride 2 whose last window may hang over the edge: (N, H, W, C) → (N, H // 2, W // 2, C).

    Caffe's pooling, and torch's with ceil_mode. On even sides that is Keras' "same", on odd ones its
    "valid"; where one side is even and the other odd, zeros stand for the overhang, so that the
    input must not be negative.
    """
    overhang = [(0, 1 - side % 2) for side in x.shape[1:3]]
    if overhang == [(0, 1), (0, 1)]:
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
    if overhang != [(0, 0), (0, 0)]:
        x = keras.layers.ZeroPadding2D(overhang, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)
