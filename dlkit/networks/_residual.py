"""What ResNet and ResNeXt share where they follow torchvision: its padding, shortcuts and layer names."""

from __future__ import annotations

from dlkit.frameworks import keras


def symmetric_conv_bn(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    stride: int,
    momentum: float,
    names: str,
    groups: int = 1,
) -> keras.KerasTensor:
    """Convolution without bias, padded alike on all sides as PyTorch pads, and its normalisation.

    `names` are those of the convolution and of the normalisation, and of a ReLU where one follows.
    He's initialisation. (N, H, W, C) → (N, H / stride, W / stride, filters), rounded up.
    """
    conv, bn, *relu = names.split()
    if stride > 1 and kernel > 1:  # where "same" would pad below and right
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{conv}_pad")(x)
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if stride > 1 else "same",
        groups=groups,
        use_bias=False,
        kernel_initializer="he_normal",
        name=conv,
    )(x)
    x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=momentum, name=bn)(x)
    return keras.layers.ReLU(name=relu[0])(x) if relu else x


def resnet_stem(x: keras.KerasTensor, filters: int, momentum: float) -> keras.KerasTensor:
    """ResNet's first layers with torchvision's names: (N, H, W, C) → (N, H / 4, W / 4, filters)."""
    x = symmetric_conv_bn(x, filters, 7, 2, momentum, "conv1 bn1 relu")
    x = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(x)  # zeros are as good as -∞ after a ReLU
    return keras.layers.MaxPooling2D(3, strides=2, name="maxpool")(x)


def residual(x: keras.KerasTensor, y: keras.KerasTensor, stride: int, momentum: float, name: str) -> keras.KerasTensor:
    """ReLU(y + x); x through a 1×1 convolution where its shape is another (option B), named as in torchvision."""
    if x.shape != y.shape:
        names = f"{name}_downsample_0 {name}_downsample_1"
        x = symmetric_conv_bn(x, y.shape[-1], 1, stride, momentum, names)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_out")(x)
