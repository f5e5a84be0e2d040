"""Inception v3: Szegedy et al. 2015, "Rethinking the Inception Architecture", arXiv:1512.00567, table 1."""

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
    parameters=23_851_784,
    trainable=23_817_352,
    multiply_adds=5_713_216_096,
    paper="Szegedy et al. 2015, arXiv:1512.00567, table 1",
    reference="keras.applications.InceptionV3",
    variant="keras.applications': normalisation without gamma (with it torchvision has 23,869,000), poolings "
    "that do not count zeros at the edges",
    applications="InceptionV3",
    preprocessing="signed",
    smallest=75,
    ranges=WIDTH,
    small={"input_shape": [75, 75, 3], "classes": 10, "width": 0.125},
)
def inception_v3(
    *,
    input_shape: tuple[int, int, int] = (299, 299, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.0,
    momentum: float = 0.99,
    auxiliary: bool = False,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Inception modules with factorised convolutions: (N, H, W, C) float32 → (N, classes).

    Weight order and module names are those of `keras.applications`; its convolutions are numbered,
    ours are called MODULE_BRANCH_NUMBER. With `auxiliary` there is a second output (N, classes) from
    a head on mixed7 for training, torchvision's (section 4), which makes 27,179,376 parameters. It
    needs images of at least 107×107, and below 299×299 its 5×5 kernel shrinks to what is left.
    """
    layers = keras.layers
    conv = functools.partial(conv_bn, width=width, momentum=momentum, scale=False)
    image = keras.Input(input_shape, name="image")
    x = conv(image, 32, 3, "conv_1a", strides=2, padding="valid")
    x = conv(conv(x, 32, 3, "conv_2a", padding="valid"), 64, 3, "conv_2b")
    x = layers.MaxPooling2D(3, strides=2, name="pool_3a")(x)
    x = conv(conv(x, 80, 1, "conv_3b"), 192, 3, "conv_4a", padding="valid")
    x = layers.MaxPooling2D(3, strides=2, name="pool_5a")(x)  # (N, 35, 35, 192) of 299×299
    for module, projection in enumerate((32, 64, 64)):
        x = _square(x, conv, f"mixed{module}", projection)  # (N, 35, 35, 288)
    x = _reduction_a(x, conv, "mixed3")
    for module, filters in enumerate((128, 160, 160, 192), start=4):
        x = _factorised(x, conv, f"mixed{module}", filters)  # (N, 17, 17, 768)
    middle, x = x, _reduction_b(x, conv, "mixed8")
    for module in (9, 10):
        x = _widened(x, conv, f"mixed{module}")  # (N, 8, 8, 2048)
    if include_top:
        x = classifier(x, classes, activation, dropout)
    if include_top and auxiliary:
        x = [x, _auxiliary(middle, conv, classes, activation)]
    return keras.Model(image, x, name="inception_v3")


def _average(x: keras.KerasTensor, module: str) -> keras.KerasTensor:
    return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=f"{module}_avgpool")(x)


def _square(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, projection: int
) -> keras.KerasTensor:
    """Figure 5, with the 5×5 still in it: (N, H, W, C) → (N, H, W, 224 + projection)."""
    branches = [
        conv(x, 64, 1, f"{name}_1x1"),
        branch(x, conv, f"{name}_5x5", (48, 1), (64, 5)),
        branch(x, conv, f"{name}_3x3dbl", (64, 1), (96, 3), (96, 3)),
        conv(_average(x, name), projection, 1, f"{name}_pool"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _reduction_a(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> keras.KerasTensor:
    """Figure 10: (N, H, W, 288) → (N, H / 2, W / 2, 768)."""
    double = branch(x, conv, f"{name}_3x3dbl", (64, 1), (96, 3))
    branches = [
        conv(x, 384, 3, f"{name}_3x3", strides=2, padding="valid"),
        conv(double, 96, 3, f"{name}_3x3dbl_2", strides=2, padding="valid"),
        keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_maxpool")(x),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _factorised(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, filters: int
) -> keras.KerasTensor:
    """Figure 6 with n = 7: (N, H, W, 768) → (N, H, W, 768)."""
    row, column, n = (1, 7), (7, 1), filters
    branches = [
        conv(x, 192, 1, f"{name}_1x1"),
        branch(x, conv, f"{name}_7x7", (n, 1), (n, row), (192, column)),
        branch(x, conv, f"{name}_7x7dbl", (n, 1), (n, column), (n, row), (n, column), (192, row)),
        conv(_average(x, name), 192, 1, f"{name}_pool"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _reduction_b(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> keras.KerasTensor:
    """Figure 10 again, with 7×7 in place of a 3×3: (N, H, W, 768) → (N, H / 2, W / 2, 1280)."""
    three = conv(x, 192, 1, f"{name}_3x3_0")
    seven = branch(x, conv, f"{name}_7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)))
    branches = [
        conv(three, 320, 3, f"{name}_3x3_1", strides=2, padding="valid"),
        conv(seven, 192, 3, f"{name}_7x7x3_3", strides=2, padding="valid"),
        keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_maxpool")(x),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _widened(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> keras.KerasTensor:
    """Figure 7, branches that part again at their ends: (N, H, W, C) → (N, H, W, 2048)."""
    three = conv(x, 384, 1, f"{name}_3x3_0")
    double = branch(x, conv, f"{name}_3x3dbl", (448, 1), (384, 3))
    branches = [
        conv(x, 320, 1, f"{name}_1x1"),
        _parted(three, conv, f"{name}_3x3"),
        _parted(double, conv, f"{name}_3x3dbl"),
        conv(_average(x, name), 192, 1, f"{name}_pool"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _parted(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str) -> keras.KerasTensor:
    ends = [conv(x, 384, (1, 3), f"{name}_1x3"), conv(x, 384, (3, 1), f"{name}_3x1")]
    return keras.layers.Concatenate(name=f"{name}_parts")(ends)


def _auxiliary(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], classes: int, activation: str
) -> keras.KerasTensor:
    """A head for training in the middle of the network (figure 8): (N, 17, 17, 768) → (N, classes)."""
    x = keras.layers.AveragePooling2D(5, strides=3, name="aux_avgpool")(x)  # (N, 5, 5, 768)
    x = conv(x, 128, 1, "aux_0")
    kernel = tuple(min(5, side) for side in x.shape[1:3])
    x = conv(x, 768, kernel, "aux_1", padding="valid")  # (N, 1, 1, 768)
    return classifier(x, classes, activation, names="aux_avg_pool aux_dropout aux_predictions")
