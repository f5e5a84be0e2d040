"""Inception-ResNet v1 and v2: Szegedy et al. 2016, arXiv:1602.07261, figures 7 and 10 to 19.

Both are a stem, three stacks of residual Inception blocks (35×35, 17×17 and 8×8 for an image of
299×299) and a reduction between each two stacks. The last block of all is neither scaled nor
rectified.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier
from dlkit.networks._inception import branch, conv_bn

_Steps = tuple[tuple[int, int | tuple[int, int]], ...]
"""A branch, (filters, kernel) by (filters, kernel)."""

_NAMES = "{} {}_bn {}_ac"


@network(
    family="Inception",
    input=(299, 299, 3),
    classes=1000,
    parameters=24_385_672,
    trainable=24_357_096,
    multiply_adds=6_308_597_856,
    paper="Szegedy et al. 2016, arXiv:1602.07261, figure 15",
    reference="pytorchcv inceptionresnetv1, up to its pooling",
    variant="the paper's: 1792 features go into the classifier; FaceNet's bottleneck of 512 before it makes 24,025,224",
    preprocessing="signed",
    smallest=75,
    ranges=WIDTH,
    small={"input_shape": [75, 75, 3], "classes": 10, "width": 0.25, "repeats": [1, 1, 2]},
)
def inception_resnet_v1(
    *,
    input_shape: tuple[int, int, int] = (299, 299, 3),
    classes: int = 1000,
    width: float = 1.0,
    repeats: tuple[int, int, int] = (5, 10, 6),
    dropout: float = 0.2,
    momentum: float = 0.9,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Inception with residual connections, at the cost of Inception v3: (N, H, W, C) float32 → (N, classes).

    `repeats` are the blocks of the three stacks. Layers are named as in `inception_resnet_v2`.
    Dropout as in figure 15 (keep 0.8).
    """
    conv = functools.partial(conv_bn, width=width, momentum=momentum, names=_NAMES)
    image = keras.Input(input_shape, name="image")
    x = _stem(image, conv)
    x = conv(x, 256, 3, "conv_4b", strides=2, padding="valid")  # (N, 35, 35, 256) of 299×299
    x = _stack(x, conv, "block35", repeats[0], 0.17, ((32, 1),), ((32, 1), (32, 3)), ((32, 1), (32, 3), (32, 3)))
    x = _reduction(x, conv, "mixed_6a", ((384, 3),), ((192, 1), (192, 3), (256, 3)))  # (N, 17, 17, 896)
    x = _stack(x, conv, "block17", repeats[1], 0.1, ((128, 1),), ((128, 1), (128, (1, 7)), (128, (7, 1))))
    ends = ((256, 1), (384, 3)), ((256, 1), (256, 3)), ((256, 1), (256, 3), (256, 3))
    x = _reduction(x, conv, "mixed_7a", *ends)  # (N, 8, 8, 1792)
    x = _stack(x, conv, "block8", repeats[2], 0.2, ((192, 1),), ((192, 1), (192, (1, 3)), (192, (3, 1))), last=True)
    if include_top:
        x = classifier(x, classes, activation, dropout)
    return keras.Model(image, x, name="inception_resnet_v1")


@network(
    family="Inception",
    input=(299, 299, 3),
    classes=1000,
    parameters=55_873_736,
    trainable=55_813_192,
    multiply_adds=13_155_794_016,
    paper="Szegedy et al. 2016, arXiv:1602.07261, figure 15",
    reference="keras.applications.InceptionResNetV2",
    variant="keras.applications': the stem of Inception v3, not figure 3, and normalisation without gamma "
    "(with it timm has 55,904,008)",
    applications="InceptionResNetV2",
    preprocessing="signed",
    smallest=75,
    ranges=WIDTH,
    small={"input_shape": [75, 75, 3], "classes": 10, "width": 0.25, "repeats": [1, 1, 2]},
)
def inception_resnet_v2(
    *,
    input_shape: tuple[int, int, int] = (299, 299, 3),
    classes: int = 1000,
    width: float = 1.0,
    repeats: tuple[int, int, int] = (10, 20, 10),
    dropout: float = 0.2,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Inception with residual connections, at the cost of Inception v4: (N, H, W, C) float32 → (N, classes).

    `repeats` are the blocks of the three stacks. Weight order and, where they are not numbers, layer
    names are those of `keras.applications`. Dropout as in figure 15 (keep 0.8).
    """
    conv = functools.partial(conv_bn, width=width, momentum=momentum, scale=False, names=_NAMES)
    image = keras.Input(input_shape, name="image")
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool_5a")(_stem(image, conv))
    x = _mixed_5b(x, conv)  # (N, 35, 35, 320) of 299×299
    x = _stack(x, conv, "block35", repeats[0], 0.17, ((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
    x = _reduction(x, conv, "mixed_6a", ((384, 3),), ((256, 1), (256, 3), (384, 3)))  # (N, 17, 17, 1088)
    x = _stack(x, conv, "block17", repeats[1], 0.1, ((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))
    ends = ((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))
    x = _reduction(x, conv, "mixed_7a", *ends)  # (N, 8, 8, 2080)
    x = _stack(x, conv, "block8", repeats[2], 0.2, ((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))), last=True)
    x = conv(x, 1536, 1, "conv_7b")  # (N, 8, 8, 1536)
    if include_top:
        x = classifier(x, classes, activation, dropout)
    return keras.Model(image, x, name="inception_resnet_v2")


def _stem(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor]) -> keras.KerasTensor:
    """Figure 14 up to its last convolution: (N, H, W, C) → (N, H / 4, W / 4, 192)."""
    x = conv(x, 32, 3, "conv_1a", strides=2, padding="valid")
    x = conv(conv(x, 32, 3, "conv_2a", padding="valid"), 64, 3, "conv_2b")
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool_3a")(x)
    return conv(conv(x, 80, 1, "conv_3b"), 192, 3, "conv_4a", padding="valid")


def _mixed_5b(x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor]) -> keras.KerasTensor:
    """An Inception A block without a residual connection: (N, H, W, 192) → (N, H, W, 320)."""
    pooled = keras.layers.AveragePooling2D(3, strides=1, padding="same", name="mixed_5b_avgpool")(x)
    branches = [
        conv(x, 96, 1, "mixed_5b_branch0"),
        branch(x, conv, "mixed_5b_branch1", (48, 1), (64, 5)),
        branch(x, conv, "mixed_5b_branch2", (64, 1), (96, 3), (96, 3)),
        conv(pooled, 64, 1, "mixed_5b_pool"),
    ]
    return keras.layers.Concatenate(name="mixed_5b")(branches)


def _stack(
    x: keras.KerasTensor,
    conv: Callable[..., keras.KerasTensor],
    name: str,
    repeats: int,
    scale: float,
    *branches: _Steps,
    last: bool = False,
) -> keras.KerasTensor:
    """Residual blocks (figures 10 to 13 and 16 to 19): (N, H, W, C) → (N, H, W, C)."""
    layers, channels = keras.layers, x.shape[-1]
    for block in (f"{name}_{number}" for number in range(1, repeats + 1)):
        plain = last and block == f"{name}_{repeats}"
        ends = [branch(x, conv, f"{block}_branch{b}", *steps) for b, steps in enumerate(branches)]
        mixed = layers.Concatenate(name=f"{block}_mixed")(ends)
        up = layers.Conv2D(channels, 1, name=f"{block}_conv")(mixed)
        if not plain:
            up = layers.Rescaling(scale, name=f"{block}_scale")(up)
        x = layers.Add(name=f"{block}_add")([x, up])
        if not plain:
            x = layers.ReLU(name=f"{block}_ac")(x)
    return x


def _reduction(
    x: keras.KerasTensor, conv: Callable[..., keras.KerasTensor], name: str, *branches: _Steps
) -> keras.KerasTensor:
    """Branches that end in stride 2, and a pooling (figures 7, 12 and 18): (N, H, W, C) → (N, H / 2, W / 2, …)."""
    ends = []
    for b, (*steps, (filters, kernel)) in enumerate(branches):
        before = branch(x, conv, f"{name}_branch{b}", *steps)
        ends.append(conv(before, filters, kernel, f"{name}_branch{b}_{len(steps)}", strides=2, padding="valid"))
    ends.append(keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x))
    return keras.layers.Concatenate(name=name)(ends)
