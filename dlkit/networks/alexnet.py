"""AlexNet: Krizhevsky, Sutskever & Hinton 2012 (two columns) and Krizhevsky 2014, arXiv:1404.5997 (one)."""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import WIDTH, network
from dlkit.networks._blocks import scaled
from dlkit.networks._layers import local_response_normalization


@network(
    family="AlexNet",
    input=(227, 227, 3),
    classes=1000,
    parameters=60_965_224,
    trainable=60_965_224,
    multiply_adds=724_406_816,
    paper="Krizhevsky, Sutskever & Hinton 2012, NIPS, figure 2 and section 3.5",
    reference="the paper",
    variant="two columns as groups and response normalisation; 62,378,344 without groups, 61,100,840 as in "
    "torchvision (alexnet_single_column)",
    preprocessing="caffe",
    smallest=67,
    ranges=WIDTH,
    small={"input_shape": [67, 67, 3], "classes": 10, "width": 0.125},
)
def alexnet(
    input_shape: tuple[int, int, int] = (227, 227, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.5,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """AlexNet with its two columns: (N, H, W, C) float32 → (N, classes).

    A column is one of two groups in the convolutions that see their own column alone (conv2, conv4,
    conv5). The paper writes 224; its 55×55 map needs 227. Response normalisation has the paper's
    alpha = 1e-4, not divided by the 5 channels as Caffe and torch do. Layers are named as in
    Caffe's model of the paper. `width` multiplies the filters and the units of the hidden layers.
    """
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    # filters, kernel, stride, groups, normalised, pooled
    convolutions = (
        (96, 11, 4, 1, True, True),  # (N, 55, 55, 96), after the pooling (N, 27, 27, 96)
        (256, 5, 1, 2, True, True),  # (N, 27, 27, 256), (N, 13, 13, 256)
        (384, 3, 1, 1, False, False),
        (384, 3, 1, 2, False, False),
        (256, 3, 1, 2, False, True),  # (N, 13, 13, 256), (N, 6, 6, 256)
    )
    for i, (filters, kernel, stride, groups, normalised, pooled) in enumerate(convolutions, start=1):
        filters, padding = scaled(filters, width, divisor=2), "valid" if stride > 1 else "same"
        x = layers.Conv2D(filters, kernel, stride, padding, groups=groups, activation="relu", name=f"conv{i}")(x)
        if normalised:
            x = local_response_normalization(size=5, alpha=1e-4, k=2.0, name=f"norm{i}")(x)
        if pooled:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for fc in (6, 7):
            x = layers.Dense(scaled(4096, width), activation="relu", name=f"fc{fc}")(x)
            x = layers.Dropout(dropout, name=f"drop{fc}")(x)
        x = layers.Dense(classes, activation=activation, name="fc8")(x)
    return keras.Model(image, x, name="alexnet")


@network(
    family="AlexNet",
    input=(224, 224, 3),
    classes=1000,
    parameters=61_100_840,
    trainable=61_100_840,
    multiply_adds=714_188_480,
    paper="Krizhevsky 2014, arXiv:1404.5997",
    reference="torchvision alexnet",
    variant="as torchvision: its fourth convolution has 256 filters, the paper's 384",
    preprocessing="torch",
    smallest=63,
    ranges=WIDTH,
    small={"input_shape": [63, 63, 3], "classes": 10, "width": 0.125},
)
def alexnet_single_column(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.5,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """AlexNet in one column, without response normalisation: (N, H, W, C) float32 → (N, classes).

    Layers have the names of torchvision's modules ("features.0" is `features_0`), and dropout stands
    before the dense layers as there. torchvision pools any last map to 6×6; here the dense layer
    takes it as it is, which for 224×224 is the same. `width` multiplies the filters and the units
    of the hidden layers.
    """
    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = layers.ZeroPadding2D(2, name="features_0_pad")(image)
    # number of the module, filters, kernel, stride, pooled
    convolutions = (
        (0, 64, 11, 4, True),  # (N, 55, 55, 64), after the pooling (N, 27, 27, 64)
        (3, 192, 5, 1, True),  # (N, 27, 27, 192), (N, 13, 13, 192)
        (6, 384, 3, 1, False),
        (8, 256, 3, 1, False),
        (10, 256, 3, 1, True),  # (N, 13, 13, 256), (N, 6, 6, 256)
    )
    for i, filters, kernel, stride, pooled in convolutions:
        filters, padding = scaled(filters, width), "valid" if stride > 1 else "same"
        x = layers.Conv2D(filters, kernel, stride, padding, activation="relu", name=f"features_{i}")(x)
        if pooled:
            x = layers.MaxPooling2D(3, strides=2, name=f"features_{i + 2}")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for i in (1, 4):
            x = layers.Dropout(dropout, name=f"classifier_{i - 1}")(x)
            x = layers.Dense(scaled(4096, width), activation="relu", name=f"classifier_{i}")(x)
        x = layers.Dense(classes, activation=activation, name="classifier_6")(x)
    return keras.Model(image, x, name="alexnet_single_column")
