"""ResNet V2: He et al. 2016, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027, figure 4(e)."""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import classifier, scaled


def _resnet_v2(
    name: str,
    blocks: tuple[int, ...],
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """Normalisation and ReLU stand before the convolutions: (N, H, W, C) float32 → (N, classes).

    Layer names and weight order are those of `keras.applications`: the last block of a stage halves
    the size, in its 3×3 convolution and by picking every second pixel of the shortcut; a
    convolution has a bias where no normalisation follows. `momentum` is that of batch normalisation.
    """
    image = keras.Input(input_shape, name="image")
    x = _conv(image, scaled(64, width), 7, 2, "conv1", bias=True)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)  # no ReLU before it: a zero can be the largest value
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, depth in enumerate(blocks):
        for block in range(1, depth + 1):
            here, stride = f"conv{stage + 2}_block{block}", 2 if stage < 3 and block == depth else 1
            x = _block(x, scaled(64 * 2**stage, width), stride, block == 1, here, momentum)
    x = _norm_relu(x, "post", momentum)
    if include_top:
        x = classifier(x, classes, activation)
    return keras.Model(image, x, name=name)


def _block(
    x: keras.KerasTensor, filters: int, stride: int, projected: bool, name: str, momentum: float
) -> keras.KerasTensor:
    """(N, H, W, C) → (N, H / stride, W / stride, 4 · filters)."""
    y = _norm_relu(x, f"{name}_preact", momentum)
    if projected:
        x = _conv(y, 4 * filters, 1, stride, f"{name}_0", bias=True)
    elif stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_0_pool")(x)
    y = _norm_relu(_conv(y, filters, 1, 1, f"{name}_1"), f"{name}_1", momentum)
    y = _norm_relu(_conv(y, filters, 3, stride, f"{name}_2"), f"{name}_2", momentum)
    return keras.layers.Add(name=f"{name}_out")([x, _conv(y, 4 * filters, 1, 1, f"{name}_3", bias=True)])


def _norm_relu(x: keras.KerasTensor, name: str, momentum: float) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=1.001e-5, momentum=momentum, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, bias: bool = False
) -> keras.KerasTensor:
    """A convolution padded alike on all sides."""
    layers = keras.layers
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(filters, kernel, stride, use_bias=bias, kernel_initializer="he_normal", name=f"{name}_conv")(x)


_FACTS: dict[str, Any] = {
    "like": _resnet_v2,
    "family": "ResNet V2",
    "input": (224, 224, 3),
    "classes": 1000,
    "paper": "He et al. 2016, arXiv:1603.05027, figure 4(e)",
    "variant": "as keras.applications: the last block of a stage halves the size, not the first of the next",
    "preprocessing": "signed",
    "ranges": WIDTH,
    "small": {"input_shape": [64, 64, 3], "classes": 10, "width": 0.125},
}


@network(
    parameters=25_613_800,
    trainable=25_568_360,
    multiply_adds=3_482_255_360,
    reference="keras.applications.ResNet50V2",
    applications="ResNet50V2",
    **_FACTS,
)
def resnet50v2(**options: Any) -> keras.Model:
    """ResNet-50 V2: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_v2("resnet50v2", (3, 4, 6, 3), **options)


@network(
    parameters=44_675_560,
    trainable=44_577_896,
    multiply_adds=7_194_476_544,
    reference="keras.applications.ResNet101V2",
    applications="ResNet101V2",
    **_FACTS,
)
def resnet101v2(**options: Any) -> keras.Model:
    """ResNet-101 V2: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_v2("resnet101v2", (3, 4, 23, 3), **options)


@network(
    parameters=60_380_648,
    trainable=60_236_904,
    multiply_adds=10_906_697_728,
    reference="keras.applications.ResNet152V2",
    applications="ResNet152V2",
    **_FACTS,
)
def resnet152v2(**options: Any) -> keras.Model:
    """ResNet-152 V2: (N, H, W, C) float32 → (N, classes)."""
    return _resnet_v2("resnet152v2", (3, 8, 36, 3), **options)
