"""MLPerf Tiny's four reference networks: Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv:2106.07597."""

from __future__ import annotations

from dlkit.frameworks import keras
from dlkit.networks import network


@network(
    family="ResNet",
    input=(32, 32, 3),
    classes=10,
    parameters=78_666,
    trainable=78_186,
    multiply_adds=12_501_632,
    paper="Banbury et al. 2021, arXiv:2106.07597 (image classification)",
    reference="mlcommons/tiny resnet_v1_eembc",
    variant="16 filters, as the reference file; the code of today defaults to 26",
    small={"input_shape": [8, 8, 1], "width": 4},
)
def resnet8(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: int = 16,
    momentum: float = 0.99,
    dropout: float = 0.0,
    activation: str = "softmax",
) -> keras.Model:
    """ResNet8, three stages of one basic block each: (N, H, W, C) float32 → (N, classes).

    As `resnet_v1_eembc` of the reference implementation (mlcommons/tiny): a stage that changes the
    size has a 1×1 convolution without normalisation on its shortcut, and convolutions keep their
    bias. `width` is the number of filters of the first stage; `momentum` that of batch
    normalisation (0.9 for runs under about 500 steps).
    """
    layers = keras.layers

    def conv(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
        return layers.Conv2D(
            filters, kernel, strides=stride, padding="same", kernel_initializer="he_normal", name=name
        )(x)

    def normalise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.BatchNormalization(momentum=momentum, name=name)(x)

    image = keras.Input(input_shape, name="image")
    x = normalise(conv(image, width, 3, 1, "stem_conv"), "stem_norm")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, stride in enumerate([1, 2, 2], start=1):
        filters = width * 2 ** (stage - 1)
        y = normalise(conv(x, filters, 3, stride, f"stage{stage}_conv1"), f"stage{stage}_norm1")
        y = layers.ReLU(name=f"stage{stage}_relu1")(y)
        y = normalise(conv(y, filters, 3, 1, f"stage{stage}_conv2"), f"stage{stage}_norm2")
        if stride != 1:
            x = conv(x, filters, 1, stride, f"stage{stage}_shortcut")
        x = layers.Add(name=f"stage{stage}_add")([x, y])
        x = layers.ReLU(name=f"stage{stage}_relu2")(x)  # (N, H / stride…, W / stride…, filters)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, activation=activation, kernel_initializer="he_normal", name="predictions")(x)
    return keras.Model(image, x, name="resnet8")


@network(
    family="DS-CNN",
    input=(49, 10, 1),
    classes=12,
    parameters=24_908,
    trainable=23_756,
    multiply_adds=2_656_768,
    paper="Zhang et al. 2017, arXiv:1711.07128; Banbury et al. 2021, arXiv:2106.07597 (keyword spotting)",
    reference="mlcommons/tiny, the released kws model",
    variant="pools all 25×5 places, as the released model; the code of today says 24×5",
    preprocessing="none",
    raw_range=(-256.0, 256.0),
    small={"input_shape": [13, 6, 1], "classes": 4, "width": 8},
)
def ds_cnn(
    input_shape: tuple[int, int, int] = (49, 10, 1),
    classes: int = 12,
    width: int = 64,
    momentum: float = 0.99,
    dropout: float = 0.4,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """DS-CNN, four depthwise separable convolutions: (N, frames, coefficients, 1) float32 → (N, classes).

    Canonical inputs are 49 frames of 10 mel-frequency cepstral coefficients, a second of speech.
    `width` is the number of filters throughout, `momentum` that of batch normalisation; half of
    `dropout` comes after the first convolution, all of it before the classifier.
    """
    layers = keras.layers
    sound = keras.Input(input_shape, name="sound")
    x = layers.Conv2D(width, (10, 4), strides=2, padding="same", kernel_initializer="he_normal", name="stem_conv")(
        sound
    )
    x = _norm_relu(x, momentum, "stem")
    x = layers.Dropout(dropout / 2, name="stem_dropout")(x)
    for block in range(1, 5):
        x = _separable(x, width, 1, momentum, f"block{block}")  # (N, frames / 2, coefficients / 2, width)
    if include_top:
        x = _classifier(x, classes, activation, dropout)
    return keras.Model(sound, x, name="ds_cnn")


@network(
    family="MobileNet",
    input=(96, 96, 3),
    classes=2,
    parameters=221_794,
    trainable=216_322,
    multiply_adds=7_489_664,
    paper="Howard et al. 2017, arXiv:1704.04861; Banbury et al. 2021, arXiv:2106.07597 (visual wake words)",
    reference="mlcommons/tiny vww_model",
    variant="ReLU, biases and a dense classifier; keras.applications' α = 0.25 at this size has 219,058",
    small={"input_shape": [32, 32, 3], "width": 4},
)
def mobilenet_v1_025_96(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    classes: int = 2,
    width: int = 8,
    momentum: float = 0.99,
    include_top: bool = True,
    activation: str = "softmax",
) -> keras.Model:
    """MobileNetV1 with a quarter of the filters: (N, H, W, C) float32 → (N, classes).

    `width` is the number of filters of the first convolution, `momentum` that of batch
    normalisation.
    """
    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = layers.Conv2D(width, 3, strides=2, padding="same", kernel_initializer="he_normal", name="stem_conv")(image)
    x = _norm_relu(x, momentum, "stem")
    wider = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1))
    for block, (times, stride) in enumerate(wider, start=1):
        x = _separable(x, times * width, stride, momentum, f"block{block}")  # (N, H / 2 stride…, W / 2 stride…, …)
    if include_top:
        x = _classifier(x, classes, activation)
    return keras.Model(image, x, name="mobilenet_v1_025_96")


@network(
    family="Auto-encoder",
    input=(640,),
    parameters=269_992,
    trainable=267_928,
    multiply_adds=264_192,
    paper="Koizumi et al. 2020, arXiv:2006.05822; Banbury et al. 2021, arXiv:2106.07597 (anomaly detection)",
    reference="mlcommons/tiny keras_model of anomaly_detection",
    task="reconstruction",
    preprocessing="none",
    raw_range=(-200.0, 200.0),
    small={"input_shape": [32], "width": 8, "code": 4},
)
def fc_autoencoder(
    input_shape: tuple[int] = (640,), width: int = 128, depth: int = 4, code: int = 8, momentum: float = 0.99
) -> keras.Model:
    """Dense layers to a narrow one and back: (N, values) float32 → (N, values).

    Canonical inputs are 5 frames of 128 log-mel energies in decibels. What is reconstructed badly is
    unusual. There are `depth` layers of `width` units on either side of the one of `code` units.
    """
    layers = keras.layers
    sound = x = keras.Input(input_shape, name="sound")
    units = [width] * depth + [code] + [width] * depth
    for layer, count in enumerate(units, start=1):
        x = _norm_relu(layers.Dense(count, name=f"dense{layer}")(x), momentum, f"dense{layer}")
    x = layers.Dense(input_shape[0], name="reconstruction")(x)
    return keras.Model(sound, x, name="fc_autoencoder")


def _norm_relu(x: keras.KerasTensor, momentum: float, name: str) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _separable(x: keras.KerasTensor, filters: int, stride: int, momentum: float, name: str) -> keras.KerasTensor:
    """A depthwise and a 1×1 convolution, each normalised: (N, H, W, C) → (N, H / stride, W / stride, filters)."""
    layers = keras.layers
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", depthwise_initializer="he_normal", name=f"{name}_depthwise"
    )(x)
    x = _norm_relu(x, momentum, f"{name}_depthwise")
    x = layers.Conv2D(filters, 1, kernel_initializer="he_normal", name=f"{name}_pointwise")(x)
    return _norm_relu(x, momentum, f"{name}_pointwise")


def _classifier(x: keras.KerasTensor, classes: int, activation: str, dropout: float = 0.0) -> keras.KerasTensor:
    """The mean over all places and a dense layer: (N, H, W, C) → (N, classes)."""
    layers = keras.layers
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)
