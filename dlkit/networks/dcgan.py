"""DCGAN: Radford et al. 2015, "Unsupervised Representation Learning with Deep Convolutional GANs", arXiv:1511.06434.

A generator makes images of noise and a discriminator tells them from real ones; the two are trained
against each other. The pair for 64×64 follows pytorch/examples, the pair for 28×28 TensorFlow's
tutorial, and the conditional pair (Mirza & Osindero 2014, "Conditional Generative Adversarial Nets",
arXiv:1411.1784) is that one, told the class.
"""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.networks import network

_PAPER = "Radford et al. 2015, arXiv:1511.06434"
_NOISE: dict[str, Any] = {"task": "generation", "preprocessing": "none", "raw_range": (-8.0, 8.0)}
_IMAGES: dict[str, Any] = {"task": "discrimination", "preprocessing": "signed"}


def _doublings(image_shape: tuple[int, int, int]) -> int:
    """How often 4×4 is doubled to the image's size. Raises ValueError if that does not lead there."""
    height, width, _ = image_shape
    doublings = max(0, height.bit_length() - 3)
    if height != width or doublings == 0 or height != 4 * 2**doublings:
        raise ValueError(f"images are square, with sides of 8, 16, 32, 64 …, not {height}×{width}")
    return doublings


@network(
    family="GAN",
    input=(100,),
    parameters=3_578_624,
    trainable=3_576_704,
    multiply_adds=104_628_224,
    paper=f"{_PAPER}, figure 1",
    reference="pytorch/examples dcgan Generator",
    variant="64 filters as the example; the paper's figure has 128",
    small={"image_shape": [16, 16, 1], "width": 4, "input_shape": [10]},
    **_NOISE,
)
def dcgan_generator(
    input_shape: tuple[int] = (100,),
    image_shape: tuple[int, int, int] = (64, 64, 3),
    width: int = 64,
    momentum: float = 0.9,
) -> keras.Model:
    """Standard normal noise to an image: (N, latent) float32 → (N, H, W, C), -1…1.

    Layers are named as the modules of the reference, `main_0`, `main_1` …, and initialised as there.
    `image_shape` can be (S, S, C) with S = 8, 16, 32 …; the first layer has `width` × S / 8 filters.
    """
    layers = keras.layers
    noise = keras.Input(input_shape, name="noise")
    x = layers.Reshape((1, 1, *input_shape), name="reshape")(noise)
    doublings = _doublings(image_shape)
    for number in range(doublings):
        filters = width * 2 ** (doublings - 1 - number)
        x = _up(filters, f"main_{3 * number}", first=number == 0)(x)  # (N, 4 · 2^number, 4 · 2^number, filters)
        x = layers.BatchNormalization(
            epsilon=1e-5,
            momentum=momentum,
            gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
            name=f"main_{3 * number + 1}",
        )(x)
        x = layers.ReLU(name=f"main_{3 * number + 2}")(x)
    x = _up(image_shape[2], f"main_{3 * doublings}")(x)
    x = layers.Activation("tanh", name=f"main_{3 * doublings + 1}")(x)
    return keras.Model(noise, x, name="dcgan_generator")


def _up(filters: int, name: str, first: bool = False) -> keras.layers.Layer:
    """A transposed convolution that doubles the size, or makes 4×4 of 1×1."""
    strides, padding = (1, "valid") if first else (2, "same")
    return keras.layers.Conv2DTranspose(
        filters,
        4,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(0.0, 0.02),
        name=name,
    )


@network(
    family="GAN",
    input=(64, 64, 3),
    parameters=2_767_360,
    trainable=2_765_568,
    multiply_adds=103_817_216,
    paper=_PAPER,
    reference="pytorch/examples dcgan Discriminator",
    smallest=8,
    small={"input_shape": [16, 16, 1], "width": 4},
    **_IMAGES,
)
def dcgan_discriminator(
    input_shape: tuple[int, int, int] = (64, 64, 3),
    width: int = 64,
    momentum: float = 0.9,
    activation: str = "sigmoid",
) -> keras.Model:
    """An image to whether it is real: (N, H, W, C) float32, -1…1 → (N, 1).

    Layers are named as the modules of the reference, `main_0`, `main_2` …, and initialised as there.
    Images are (S, S, C) with S = 8, 16, 32 …; each halving doubles the filters, from `width` on.
    """
    layers = keras.layers
    initial = keras.initializers
    image = x = keras.Input(input_shape, name="image")
    halvings = _doublings(input_shape)
    module = iter(range(3 * halvings + 1))

    def convolution(filters: int, **options: Any) -> keras.layers.Layer:
        kernel = initial.RandomNormal(0.0, 0.02)
        return layers.Conv2D(filters, 4, use_bias=False, kernel_initializer=kernel, name=_main(module), **options)

    for number in range(halvings):
        x = convolution(width * 2**number, strides=2, padding="same")(x)  # (N, H / 2^(number + 1), …)
        if number:
            gamma = initial.RandomNormal(1.0, 0.02)
            x = layers.BatchNormalization(epsilon=1e-5, momentum=momentum, gamma_initializer=gamma, name=_main(module))(
                x
            )
        x = layers.LeakyReLU(0.2, name=_main(module))(x)
    x = convolution(1)(x)  # (N, 1, 1, 1)
    x = layers.Activation(activation, name=_main(module))(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, x, name="dcgan_discriminator")


def _main(module: Any) -> str:
    return f"main_{next(module)}"


def _generator28(
    name: str,
    input_shape: tuple[int],
    image_shape: tuple[int, int, int],
    width: int,
    momentum: float,
) -> keras.Model:
    """A dense layer and three transposed convolutions: (N, latent) float32 → (N, H, W, C), -1…1."""
    height, wide, channels = image_shape
    if height % 4 or wide % 4:
        raise ValueError(f"it doubles an image twice: height and width are multiples of 4, not {image_shape}")
    layers = keras.layers

    def normalise(x: keras.KerasTensor, number: int) -> keras.KerasTensor:
        x = layers.BatchNormalization(momentum=momentum, name=f"norm{number}")(x)
        return layers.LeakyReLU(0.3, name=f"relu{number}")(x)

    def up(filters: int, stride: int, name: str, activation: str | None = None) -> keras.layers.Layer:
        return layers.Conv2DTranspose(
            filters, 5, strides=stride, padding="same", use_bias=False, activation=activation, name=name
        )

    noise = keras.Input(input_shape, name="noise")
    x = layers.Dense(height // 4 * (wide // 4) * 4 * width, use_bias=False, name="dense")(noise)
    x = normalise(x, 1)
    x = layers.Reshape((height // 4, wide // 4, 4 * width), name="maps")(x)
    x = normalise(up(2 * width, 1, "up1")(x), 2)
    x = normalise(up(width, 2, "up2")(x), 3)
    x = up(channels, 2, "image", "tanh")(x)
    return keras.Model(noise, x, name=name)


def _discriminator28(
    name: str, input_shape: tuple[int, int, int], width: int, dropout: float, activation: str
) -> keras.Model:
    """Two convolutions and a dense layer: (N, H, W, C) float32, -1…1 → (N, 1)."""
    layers = keras.layers
    image = x = keras.Input(input_shape, name="image")
    for number, filters in enumerate((width, 2 * width), start=1):
        x = layers.Conv2D(filters, 5, strides=2, padding="same", name=f"conv{number}")(x)
        x = layers.LeakyReLU(0.3, name=f"relu{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1, activation=activation, name="real")(x)
    return keras.Model(image, x, name=name)


_TUTORIAL: dict[str, Any] = {
    "family": "GAN",
    "reference": 'tensorflow.org tutorial "Deep Convolutional Generative Adversarial Network"',
}
_CONDITIONAL: dict[str, Any] = {
    "family": "GAN",
    "classes": 10,
    "paper": "Mirza & Osindero 2014, arXiv:1411.1784",
    "reference": "none: the pair of tensorflow.org's tutorial, with the class beside the input",
    "variant": "convolutional, where the paper's networks are dense",
}


@network(
    input=(100,),
    parameters=2_330_944,
    trainable=2_305_472,
    multiply_adds=51_744_000,
    paper=_PAPER,
    small={"input_shape": [10], "image_shape": [8, 8, 1], "width": 4},
    **_TUTORIAL,
    **_NOISE,
)
def dcgan28_generator(
    input_shape: tuple[int] = (100,),
    image_shape: tuple[int, int, int] = (28, 28, 1),
    width: int = 64,
    momentum: float = 0.99,
) -> keras.Model:
    """Standard normal noise to a small image: (N, latent) float32 → (N, H, W, C), -1…1.

    Height and width of the image are multiples of 4; `width` is the filters of the last hidden layer.
    """
    return _generator28("dcgan28_generator", input_shape, image_shape, width, momentum)


@network(
    input=(28, 28, 1),
    parameters=212_865,
    trainable=212_865,
    multiply_adds=10_355_072,
    paper=_PAPER,
    small={"input_shape": [8, 8, 1], "width": 4},
    **_TUTORIAL,
    **_IMAGES,
)
def dcgan28_discriminator(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    width: int = 64,
    dropout: float = 0.3,
    activation: str = "sigmoid",
) -> keras.Model:
    """A small image to whether it is real: (N, H, W, C) float32, -1…1 → (N, 1).

    The tutorial's own stops before the sigmoid, as with activation = "linear".
    """
    return _discriminator28("dcgan28_discriminator", input_shape, width, dropout, activation)


@network(
    input=(110,),
    parameters=2_456_384,
    trainable=2_430_912,
    multiply_adds=51_869_440,
    small={"input_shape": [14], "classes": 4, "image_shape": [8, 8, 1], "width": 4},
    **_CONDITIONAL,
    **_NOISE,
)
def conditional_dcgan_generator(
    input_shape: tuple[int] = (110,),
    classes: int = 10,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    width: int = 64,
    momentum: float = 0.99,
) -> keras.Model:
    """Noise and then a class, one-hot, to an image of it: (N, latent + classes) float32 → (N, H, W, C), -1…1."""
    if input_shape[0] <= classes:
        raise ValueError(f"inputs of {input_shape[0]} numbers leave none for noise beside {classes} classes")
    return _generator28("conditional_dcgan_generator", input_shape, image_shape, width, momentum)


@network(
    input=(28, 28, 11),
    parameters=228_865,
    trainable=228_865,
    multiply_adds=13_491_072,
    small={"input_shape": [8, 8, 5], "classes": 4, "width": 4},
    **_CONDITIONAL,
    **_IMAGES,
)
def conditional_dcgan_discriminator(
    input_shape: tuple[int, int, int] = (28, 28, 11),
    classes: int = 10,
    width: int = 64,
    dropout: float = 0.3,
    activation: str = "sigmoid",
) -> keras.Model:
    """An image with its class to whether it is real: (N, H, W, C + classes) float32, -1…1 → (N, 1).

    After the image's channels comes one plane for each class, 1 for the image's own and 0 elsewhere.
    """
    if input_shape[2] <= classes:
        raise ValueError(f"inputs of {input_shape[2]} channels leave none for the image beside {classes} classes")
    return _discriminator28("conditional_dcgan_discriminator", input_shape, width, dropout, activation)
