"""What several families of networks share."""

from __future__ import annotations

from dlkit.frameworks import keras


def scaled(filters: int, width: float, divisor: int = 1) -> int:
    """`filters` × `width`, rounded to the nearest multiple of `divisor` and at least one of it.

    >>> scaled(64, 0.1), scaled(96, 0.1, divisor=2)
    (6, 10)
    """
    return max(1, int(filters * width / divisor + 0.5)) * divisor


def classifier(
    x: keras.KerasTensor,
    classes: int,
    activation: str,
    dropout: float = 0.0,
    names: str = "avg_pool dropout predictions",
) -> keras.KerasTensor:
    """Global average pooling, dropout where there is any, and a dense layer: (N, H, W, C) → (N, classes)."""
    pool, drop, dense = names.split()
    x = keras.layers.GlobalAveragePooling2D(name=pool)(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name=drop)(x)
    return keras.layers.Dense(classes, activation=activation, name=dense)(x)


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
