"""MLPerf Tiny reference networks: Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv:2106.07597."""

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
